// What more than one page is made of: notices, fields, dialogs, copy buttons, the key that is shown once.

import { fill, h, icon } from "./dom.js";
import { span } from "./format.js";

const SAID_MS = 4000;

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

/** Says something short to everybody: shown for a moment, and read out. */
export function say(text) {
  const place = document.querySelector("#said");
  fill(place, h("p", {}, text));
  clearTimeout(say.timer);
  say.timer = setTimeout(() => fill(place), SAID_MS);
}

/**
 * A refusal or a failure, and what to do about it. With `retry`, a button: where the service said when to come
 * back, it counts down to that.
 */
export function notice(problem, retry) {
  const box = h("div", { class: "notice", role: "alert" });
  box.append(
    h("p", {}, h("strong", {}, sentence(problem.message))),
    problem.details ? h("p", {}, sentence(problem.details)) : "",
    h("p", { class: "code" }, problem.requestId ? `${problem.code} · request ${problem.requestId}` : problem.code),
  );
  if (problem.retrySeconds) box.append(countdown(problem.retrySeconds, retry));
  else if (retry) box.append(h("p", {}, button("Try again", { icon: "turn", act: retry })));
  return box;
}

function countdown(seconds, retry) {
  const until = Date.now() + seconds * 1000;
  const words = h("span", { "aria-hidden": "true" });
  const line = h("p", { class: "countdown" }, words, h("span", { class: "unseen" }, `Wait ${span(seconds)}.`));
  const again = retry && button("Try again", { icon: "turn", act: retry });
  const tick = () => {
    const left = (until - Date.now()) / 1000;
    if (left > 0) {
      words.textContent = `You can try again in ${span(left)}.`;
      return;
    }
    clearInterval(timer);
    words.textContent = "You can try again now.";
    again?.removeAttribute("aria-disabled");
  };
  again?.setAttribute("aria-disabled", "true");
  if (again) line.append(again);
  const timer = setInterval(tick, 250);
  tick();
  return line;
}

const sentence = (text) => (/[.!?…]$/.test(text) ? text : `${text}.`);

/** A button with words. While `act` runs it is busy, and a second press does nothing; it keeps the focus. */
export function button(label, { act, kind = "", type = "button", icon: drawing, ...attributes } = {}) {
  const element = h("button", { type, class: `button ${kind}`, ...attributes }, drawing && icon(drawing), label);
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
  const element = h("button", { type: "button", class: "button quiet", "aria-label": `${label} ${name}` }, icon("copy"), words);
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
  const area = h("textarea", { class: "unseen", readonly: true, "aria-hidden": "true", tabindex: -1, value: text });
  const focused = document.activeElement;
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return copied;
}

let fields = 0;

/** A labelled input, with a hint and a place for what is wrong with it. `options` make it a select. */
export function field(label, { hint, options, id = `field-${++fields}`, ...attributes } = {}) {
  const described = hint ? `${id}-hint ${id}-wrong` : `${id}-wrong`;
  const input = options
    ? h("select", { id, "aria-describedby": described, ...attributes }, options.map(([value, text]) => h("option", { value }, text)))
    : h("input", { id, "aria-describedby": described, ...attributes });
  const wrong = h("p", { id: `${id}-wrong`, class: "wrong" });
  const element = h(
    "div",
    { class: "field" },
    h("label", { for: id }, label),
    hint && h("p", { id: `${id}-hint`, class: "hint" }, hint),
    input,
    wrong,
  );
  const fail = (text) => {
    input.toggleAttribute("aria-invalid", false);
    wrong.textContent = text ?? "";
    if (text) {
      input.setAttribute("aria-invalid", "true");
      input.focus();
    }
  };
  input.addEventListener("input", () => fail());
  return { element, input, fail };
}

/** A form whose refusals show above its buttons. `send` may raise a Problem. */
export function form(children, { send, submit, kind = "primary", drawing, cancel }) {
  const refused = h("div", {});
  const go = button(submit, { type: "submit", kind, icon: drawing });
  const element = h("form", { novalidate: true, method: "post" }, children, refused, h("p", { class: "actions" }, go, cancel));
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    whileBusy(go, async () => {
      fill(refused);
      try {
        await send();
      } catch (problem) {
        if (problem.name !== "AbortError") fill(refused, notice(problem));
      }
    });
  });
  return element;
}

/**
 * Asks before something happens. `run` does it while the dialog is open, and its refusals show there.
 * Gives what `run` gave; undefined where nothing was done. The focus returns to where it was.
 */
export function ask({ title, body, confirm, kind = "danger", run, ready }) {
  return new Promise((resolve) => {
    let result;
    const name = `dialog-${++fields}`;
    const dialog = h("dialog", { "aria-labelledby": name });
    const cancel = button("Cancel", { act: () => dialog.close() });
    const content = form(body, {
      submit: confirm,
      kind,
      cancel,
      send: async () => {
        if (ready && !ready()) return;
        result = { value: await run() };
        dialog.close();
      },
    });
    dialog.append(h("h2", { id: name }, title), content);
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(result?.value);
    });
    document.body.append(dialog);
    dialog.showModal();
    if (!dialog.querySelector("input, select")) cancel.focus();
  });
}

/** A key that nobody will see again. `close` is called when its owner has it. */
export function freshKey(apiKey, close) {
  const done = button("I have it", { act: close });
  return h(
    "section",
    { class: "fresh", "aria-labelledby": "fresh-title" },
    h("h2", { id: "fresh-title", tabindex: -1 }, "Your API key, this once"),
    h("p", {}, "Keep it on your server, where your users cannot read it. We keep only its hash, so nobody can show it again."),
    h("p", { class: "key" }, h("code", { "data-secret": true }, apiKey)),
    h("p", { class: "actions" }, copyButton(() => apiKey, "the key"), done),
  );
}

/** A line that stands where there is nothing yet. */
export function nothing(title, ...words) {
  return h("div", { class: "nothing" }, h("h2", {}, title), h("p", {}, words));
}

/** Shows what `load` gives in `place`, or why it could not; trying again loads again. */
export async function show(place, signal, load) {
  place.setAttribute("aria-busy", "true");
  try {
    const content = await load();
    if (!signal.aborted) fill(place, content);
  } catch (problem) {
    if (!signal.aborted) fill(place, notice(problem, () => show(place, signal, load)));
  } finally {
    place.removeAttribute("aria-busy");
  }
}
