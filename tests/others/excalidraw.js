// make IN OUT: Excalidraw makes a file of elements described in IN. open IN OUT: Excalidraw opens the file IN and says what it sees.
import { convertToExcalidrawElements, restore, serializeAsJSON } from "@excalidraw/excalidraw";
import { readFileSync, writeFileSync } from "node:fs";

const [mode, from, to] = process.argv.slice(2);
const given = JSON.parse(readFileSync(from, "utf8"));
if (mode === "make") {
  const elements = convertToExcalidrawElements(given.elements, { regenerateIds: false });
  writeFileSync(to, serializeAsJSON(elements, {}, given.files, "local"));
} else {
  const { elements, files } = restore(given, null, null, { repairBindings: true });
  writeFileSync(to, JSON.stringify({ elements, files }));
}
