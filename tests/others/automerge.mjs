// Reads a saved page and prints its elements as JSON: bytes as numbers, text as text.
import * as Automerge from "@automerge/automerge";
import { readFileSync } from "node:fs";

const page = Automerge.load(new Uint8Array(readFileSync(process.argv[2])));
const plain = (_, value) => {
  if (typeof value === "bigint") return Number(value);
  return value instanceof Uint8Array ? Array.from(value) : value;
};
console.log(JSON.stringify({ v: page.v, heads: Automerge.getHeads(page), els: page.els }, plain));
