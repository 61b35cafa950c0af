// What more than one page begins with.

import { button, copyButton } from "./buttons.js";
import { h } from "./dom.js";
import { time, when } from "./format.js";

/** The head of a page; its h1 takes the focus when the page is shown. */
export function heading(title, lead) {
  return h("header", { class: "head" }, h("h1", { tabindex: -1 }, title), h("p", { class: "lead" }, lead));
}

/** The mark and the name, which lead to the start. */
export function brand() {
  return h(
    "a",
    { class: "brand", href: "#start" },
    h("img", { src: "/assets/mark.svg", alt: "", width: 32, height: 32 }),
    "user.photos",
  );
}

/** A key that nobody will see again. `close` is called when its owner has it. */
export function freshKey(apiKey, close) {
  const done = button("I have it", { act: close });
  return h(
    "section",
    { class: "fresh", "aria-labelledby": "fresh-title" },
    h("h2", { id: "fresh-title", tabindex: -1 }, "Your API key, this once"),
    h(
      "p",
      {},
      "Keep it on your server, where your users cannot read it. We keep only its hash, so nobody can show it again.",
    ),
    h("p", { class: "key" }, h("code", { "data-secret": true }, apiKey)),
    h(
      "p",
      { class: "actions" },
      copyButton(() => apiKey, "the key"),
      done,
    ),
  );
}

/** A moment as it is said, and the exact one for who points at it. `none`: what stands where there is none. */
export function moment(text, none = "never") {
  return text ? h("time", { datetime: text, title: time(text) }, when(text)) : none;
}
