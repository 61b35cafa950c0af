// Fields, forms, and the question before something that cannot be undone.

import { button, whileBusy } from "./buttons.js";
import { fill, h } from "./dom.js";
import { notice } from "./notices.js";

let fields = 0;

/** A labelled input, with a hint and a place for what is wrong with it. `options` make it a select. */
export function field(label, { hint, options, id = `field-${++fields}`, ...attributes } = {}) {
  const described = hint ? `${id}-hint ${id}-wrong` : `${id}-wrong`;
  const input = options
    ? h(
        "select",
        { id, "aria-describedby": described, ...attributes },
        options.map(([value, text]) => h("option", { value }, text)),
      )
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
  const element = h(
    "form",
    { novalidate: true, method: "post" },
    children,
    refused,
    h("p", { class: "actions" }, go, cancel),
  );
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
