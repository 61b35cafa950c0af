// Bars by day, drawn by hand. The numbers are also in a table, for those who do not see them.

import { fill, h, s } from "./dom.js";
import { date } from "./format.js";

const HEIGHT = 100;
const STEP = 10; // of a viewBox that is stretched to the place it has
const SHARE = 0.68; // of a step that is bar

/**
 * `days`: [{date, value}], oldest first. `show` makes a number readable. `kind` is a class: its colour.
 * A pointer or the arrow keys tell the value of one day.
 */
export function bars(title, days, { show, total, kind = "" }) {
  const most = Math.max(...days.map(({ value }) => value), 1);
  const width = days.length * STEP;
  const shapes = days.map(({ value }, index) => {
    const height = value ? Math.max((value / most) * HEIGHT, 1.5) : 0;
    return s("rect", {
      x: index * STEP + (STEP * (1 - SHARE)) / 2,
      y: HEIGHT - height,
      width: STEP * SHARE,
      height,
    });
  });
  const drawing = s(
    "svg",
    { viewBox: `0 0 ${width} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    shapes,
  );
  const told = h("p", { class: "told" });
  const tell = (index) => {
    shapes.forEach((shape, at) => shape.toggleAttribute("data-on", at === index));
    const chosen = days[index];
    fill(
      told,
      chosen
        ? [h("strong", {}, show(chosen.value)), ` on ${date(chosen.date)}`]
        : [h("strong", {}, show(total)), " in all"],
    );
  };
  const area = h("div", { class: "bars" }, drawing);
  area.addEventListener("pointermove", (event) => {
    const { left, width: wide } = area.getBoundingClientRect();
    tell(Math.min(days.length - 1, Math.max(0, Math.floor(((event.clientX - left) / wide) * days.length))));
  });
  area.addEventListener("pointerleave", () => tell(-1));
  tell(-1);
  return h(
    "figure",
    { class: `chart ${kind}` },
    h("figcaption", {}, h("h3", {}, title), told),
    h("div", { class: "plot" }, h("span", { class: "most", "aria-hidden": "true" }, show(most)), area),
    h(
      "p",
      { class: "axis", "aria-hidden": "true" },
      h("span", {}, date(days[0].date)),
      h("span", {}, date(days.at(-1).date)),
    ),
  );
}
