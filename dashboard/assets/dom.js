// Elements without HTML: whatever a user typed can only ever become text.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `attributes`: false and null leave one out, true sets it empty; `on` holds listeners. */
export function h(tag, attributes = {}, ...children) {
  return build(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
export function s(tag, attributes = {}, ...children) {
  return build(document.createElementNS(SVG, tag), attributes, children);
}

function build(element, { on = {}, value, ...attributes }, children) {
  for (const [name, given] of Object.entries(attributes)) {
    if (given === null || given === undefined || given === false) continue;
    element.setAttribute(name, given === true ? "" : String(given));
  }
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  element.append(...present(children));
  if (value !== undefined) element.value = value; // after the children: a select needs its options
  return element;
}

/** Replaces what `element` holds. */
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
  return element;
}

function present(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** `text` where it is an address that a browser may follow from here; otherwise null. */
export function webAddress(text) {
  try {
    const url = new URL(text);
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
  } catch {
    return null;
  }
}

const STROKES = {
  copy: "M9 9h10v11H9zM5 15V4h10",
  check: "M5 12.5l4.5 4.500L19 7",
  bin: "M5 7h14M10 4h4M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5",
  sliders: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
  turn: "M19 8a8 8 0 1 0 1 6M20 4v5h-5",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2.500M12 19.500V22M2 12h2.500M19.5 12H22M5 5l1.8 1.800M17.2 17.200L19 19M5 19l1.8-1.800M17.2 6.800L19 5",
  leave: "M14 4h5v16h-5M4 12h10M10 8l4 4-4 4",
  rise: "M12 19V6M6 11l6-6 6 6M4 21h16",
  menu: "M4 7h16M4 12h16M4 17h16",
  open: "M9 5H5v14h14v-4M13 4h7v7M20 4l-9 9",
};

/** A drawing beside a text that says the same. */
export function icon(name) {
  return s(
    "svg",
    { class: "icon", viewBox: "0 0 24 24", width: 20, height: 20, "aria-hidden": "true" },
    s("path", { d: STROKES[name] }),
  );
}
