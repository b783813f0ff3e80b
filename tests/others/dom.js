// As much of a browser as Excalidraw asks for while it reads and writes files.
import { JSDOM } from "jsdom";

const { window } = new JSDOM("<!doctype html><body></body>", { url: "http://localhost/", pretendToBeVisual: true });
for (const name of Object.getOwnPropertyNames(window)) {
  if (!(name in globalThis)) {
    try {
      globalThis[name] = window[name];
    } catch {
      // What only a window has.
    }
  }
}
globalThis.window = globalThis;
globalThis.document = window.document;
Object.defineProperty(globalThis, "navigator", { value: window.navigator, configurable: true });
const query = { matches: false, addEventListener() {}, removeEventListener() {}, addListener() {}, removeListener() {} };
globalThis.matchMedia = window.matchMedia = () => query;
globalThis.FontFace = class {
  load() {
    return Promise.resolve(this);
  }
};
window.HTMLCanvasElement.prototype.getContext = () => ({ measureText: (text) => ({ width: text.length * 10 }), font: "" });
