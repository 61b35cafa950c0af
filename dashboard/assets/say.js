// Short words to everybody: shown for a moment, and read out.

import { fill, h } from "./dom.js";

const SAID_MS = 4000;

/** Says something short to everybody: shown for a moment, and read out. */
export function say(text) {
  const place = document.querySelector("#said");
  fill(place, h("p", {}, text));
  clearTimeout(say.timer);
  say.timer = setTimeout(() => fill(place), SAID_MS);
}
