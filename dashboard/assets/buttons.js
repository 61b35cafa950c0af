// Buttons that know when they are busy, and buttons that copy.

import { h, icon } from "./dom.js";
import { sentence } from "./format.js";
import { say } from "./say.js";

/** A button with words. While `act` runs it is busy, and a second press does nothing; it keeps the focus. */
export function button(label, { act, kind = "", type = "button", icon: drawing, ...attributes } = {}) {
  const element = h(
    "button",
    { type, class: `button ${kind}`, ...attributes },
    drawing && icon(drawing),
    label,
  );
  if (act) element.addEventListener("click", () => whileBusy(element, act).catch(tell));
  return element;
}

function tell(problem) {
  if (problem.name === "AbortError") return;
  if (!problem.code) throw problem;
  say(`${sentence(problem.message)} ${problem.details}`);
}

/** Runs `act` unless it is running already or the button is not to be pressed. */
export async function whileBusy(element, act) {
  if (element.getAttribute("aria-disabled") === "true") return;
  element.setAttribute("aria-disabled", "true");
  try {
    await act();
  } finally {
    element.removeAttribute("aria-disabled");
  }
}

/** A button that copies what `text` gives when it is pressed. `name` says of what, for those who do not see it. */
export function copyButton(text, name, label = "Copy") {
  const words = h("span", {}, label);
  const element = h(
    "button",
    { type: "button", class: "button quiet", "aria-label": `${label} ${name}` },
    icon("copy"),
    words,
  );
  element.addEventListener("click", async () => {
    const copied = await copy(text());
    words.textContent = copied ? "Copied" : "Not copied";
    say(copied ? `Copied ${name}` : "Your browser did not let us copy: select the text instead");
    setTimeout(() => (words.textContent = label), 1600);
  });
  return element;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text); // clipboards need a secure context: plain http in a local network has none
  }
}

function copyBySelection(text) {
  const area = h("textarea", {
    class: "unseen",
    readonly: true,
    "aria-hidden": "true",
    tabindex: -1,
    value: text,
  });
  const focused = document.activeElement;
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return copied;
}
