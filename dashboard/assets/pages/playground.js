// One picture and four parameters: what the URL says, and what comes back for it.

import { call } from "../api.js";
import { copyButton } from "../buttons.js";
import { fill, h, webAddress } from "../dom.js";
import { nothing, show as load } from "../notices.js";
import { heading } from "../parts.js";
import { session } from "../session.js";
import { makeStage } from "../stage.js";

export const title = "Playground";

const DEBOUNCE_MS = 120;
const DEFAULT_QUALITY = 85;
const WIDEST_SLIDER = 1600;
const WIDEST = 4096;
const FORMATS = [
  ["", "as uploaded"],
  ["jpg", "jpg"],
  ["png", "png"],
  ["webp", "webp"],
];

export function show({ main, signal, argument }) {
  const place = h("div", {});
  fill(main, heading("Playground", "Move the sliders: the picture, its weight and its URL follow."), place);
  load(place, signal, async () => {
    const { images } = await call("GET", "/v1/images?limit=12", { signal });
    const chosen = argument
      ? (images.find(({ image_id }) => image_id === argument) ??
        (await call("GET", `/v1/images/${encodeURIComponent(argument)}`, { signal })))
      : images[0];
    if (!chosen)
      return nothing("No picture to play with", h("a", { href: "#start" }, "Upload one"), " first.");
    return bench(chosen, images, signal);
  });
}

function bench(first, images, signal) {
  let image = first;
  const wanted = { w: 240, h: 240, q: DEFAULT_QUALITY, f: "" };
  const stage = makeStage();
  const address = h("output", { class: "address", "aria-live": "off" });
  const url = () => `${webAddress(`${session.bases.cdn_url}/${image.image_id}`)}${query(wanted)}`;

  let timer = 0;
  let fetching = new AbortController();
  const changed = () => {
    fill(address, address_parts(url()));
    clearTimeout(timer);
    timer = setTimeout(render, DEBOUNCE_MS);
    stage.element.setAttribute("aria-busy", "true");
  };
  const render = () => {
    fetching.abort(); // an answer for where the slider was a moment ago is of no use
    fetching = new AbortController();
    stage.draw(url(), image, AbortSignal.any([signal, fetching.signal]), render);
  };
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    stage.clear();
  });

  const set = (name) => (value) => {
    wanted[name] = value;
    changed();
  };
  const controls = h(
    "div",
    { class: "controls" },
    slider("w", "Width", "px", { max: WIDEST_SLIDER, most: WIDEST, value: wanted.w, changed: set("w") }),
    slider("h", "Height", "px", { max: WIDEST_SLIDER, most: WIDEST, value: wanted.h, changed: set("h") }),
    slider("q", "Quality", "", { min: 1, max: 100, most: 100, value: wanted.q, changed: set("q") }),
    formats(set("f")),
  );
  const strip = h("div", { class: "strip", role: "group", "aria-label": "Pictures" });
  const choose = (next) => {
    image = next;
    for (const each of strip.children)
      each.setAttribute("aria-pressed", String(each.dataset.image === image.image_id));
    changed();
  };
  const shown = images.some(({ image_id }) => image_id === first.image_id) ? images : [first, ...images];
  strip.append(
    ...shown.map((each) =>
      h(
        "button",
        {
          type: "button",
          "data-image": each.image_id,
          "aria-label": `Picture of user ${each.user_id}, ${each.image_id}`,
          on: { click: () => choose(each) },
        },
        h("img", { src: `${webAddress(each.image_url)}?w=112&h=112`, alt: "", width: 56, height: 56 }),
      ),
    ),
  );
  choose(first);
  return h(
    "div",
    { class: "bench" },
    h("div", { class: "line" }, address, copyButton(url, "the URL", "Copy URL")),
    h("div", { class: "table" }, stage.element, h("div", { class: "desk" }, controls, strip)),
  );
}

/** The parameters that differ from what is served without them, in the order of the documentation. */
function query({ w, h: height, q, f }) {
  const parameters = [
    ["w", w],
    ["h", height],
    ["q", q === DEFAULT_QUALITY ? 0 : q],
    ["f", f],
  ];
  const text = parameters
    .filter(([, value]) => value)
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
  return text ? `?${text}` : "";
}

function address_parts(url) {
  const [base, parameters] = url.split("?");
  if (!parameters) return [base];
  return [base, h("span", { class: "asked" }, `?${parameters}`)];
}

/** A slider and, for exact values, a number; for a side, nothing (or 0 on the slider) leaves it to the picture. */
function slider(name, label, unit, { min = 0, max, most, value, changed }) {
  const range = h("input", {
    type: "range",
    name,
    min,
    max,
    step: 1,
    value,
    "aria-label": `${label}, slider`,
  });
  const exact = h("input", {
    type: "number",
    id: `exact-${name}`,
    min: 1,
    max: most,
    inputmode: "numeric",
    placeholder: "auto",
    value,
  });
  const take = (text) => {
    const number = Math.round(Number(text));
    return Number.isFinite(number) ? Math.min(most, Math.max(min, number)) : 0;
  };
  const speak = (number) =>
    range.setAttribute("aria-valuetext", number ? `${number} ${unit}`.trim() : "as the picture is");
  range.addEventListener("input", () => {
    const number = take(range.value);
    exact.value = number || "";
    speak(number);
    changed(number);
  });
  exact.addEventListener("input", () => {
    const number = exact.value === "" ? (min ? DEFAULT_QUALITY : 0) : take(exact.value);
    range.value = number;
    speak(number);
    changed(number);
  });
  exact.addEventListener("change", () => {
    if (exact.value !== "") exact.value = take(exact.value) || "";
  });
  speak(value);
  return h(
    "div",
    { class: "slider" },
    h("label", { for: exact.id }, h("code", {}, name), " ", label),
    range,
    exact,
  );
}

function formats(changed) {
  const radios = FORMATS.map(([value, label]) =>
    h(
      "label",
      {},
      h("input", {
        type: "radio",
        name: "f",
        value,
        checked: value === "",
        on: { change: () => changed(value) },
      }),
      h("span", {}, label),
    ),
  );
  return h(
    "fieldset",
    { class: "formats" },
    h("legend", {}, h("code", {}, "f"), " Format"),
    h("div", { class: "choices" }, radios),
  );
}
