// What the account did, day by day; what was refused, and why; and what it may do right now.

import { call } from "../api.js";
import { bars } from "../chart.js";
import { fill, h } from "../dom.js";
import { bytes, count, date } from "../format.js";
import { show as load } from "../notices.js";
import { heading } from "../parts.js";
import { REASONS } from "../reasons.js";

export const title = "Usage";

const LEVEL_MS = 5000;
const RANGES = [
  [7, "7 days"],
  [30, "30 days"],
  [90, "90 days"],
];
const DAY_MS = 86_400_000;

let range = 30;

export function show({ main, signal }) {
  const level = h("div", { class: "level" });
  const charts = h("div", {});
  const draw = () =>
    load(charts, signal, async () => usage(await call("GET", `/v1/usage?${period(range)}`, { signal })));
  const pick = h(
    "fieldset",
    { class: "formats" },
    h("legend", { class: "unseen" }, "Period"),
    h(
      "div",
      { class: "choices" },
      RANGES.map(([days, label]) =>
        h(
          "label",
          {},
          h("input", {
            type: "radio",
            name: "period",
            value: days,
            checked: days === range,
            on: {
              change: () => {
                range = days;
                draw();
              },
            },
          }),
          h("span", {}, label),
        ),
      ),
    ),
  );
  fill(
    main,
    heading("Usage", "Counted by day, in UTC. Numbers are at most a minute old."),
    h("section", { "aria-labelledby": "now" }, h("h2", { id: "now" }, "Right now"), level),
    h(
      "section",
      { "aria-labelledby": "by-day" },
      h("div", { class: "split" }, h("h2", { id: "by-day" }, "By day"), pick),
      charts,
    ),
  );
  draw();
  watch(level, signal);
}

function period(days) {
  const day = (before) => new Date(Date.now() - before * DAY_MS).toISOString().slice(0, 10);
  return new URLSearchParams({ from: day(days - 1), to: day(0) });
}

/** The bucket's level, asked for again and again while somebody looks. */
async function watch(place, signal) {
  const once = async () => levels(await call("GET", "/v1/account", { signal }));
  await load(place, signal, once);
  const timer = setInterval(async () => {
    if (document.hidden) return;
    try {
      fill(place, await once());
    } catch {
      // What is shown stays; the next look may do better.
    }
  }, LEVEL_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
  if (signal.aborted) clearInterval(timer);
}

function levels({ account, limits, left, used }) {
  return [
    meter(
      "Calls",
      left.requests,
      limits.burst,
      limits.requests_per_minute === null
        ? `The ${account.plan} plan has no limit.`
        : `The ${account.plan} plan: ${count(limits.requests_per_minute)} a minute, ${count(limits.burst)} at once.`,
      "left at this moment",
    ),
    meter(
      "Images",
      left.images,
      limits.images,
      limits.images === null
        ? `${count(used.images)} kept. The ${account.plan} plan has no limit.`
        : `${count(used.images)} of ${count(limits.images)} kept.`,
      "left",
    ),
    h(
      "div",
      { class: "gauge" },
      h("h3", {}, "Stored"),
      h("p", { class: "figure" }, bytes(used.bytes)),
      h("p", { class: "facts" }, "As you uploaded them."),
    ),
  ];
}

function meter(name, left, limit, words, of) {
  if (limit === null || left === null) {
    return h(
      "div",
      { class: "gauge" },
      h("h3", {}, name),
      h("p", { class: "figure" }, "unlimited"),
      h("p", { class: "facts" }, words),
    );
  }
  return h(
    "div",
    { class: "gauge" },
    h("h3", {}, name),
    h("p", { class: "figure" }, count(Math.floor(left)), h("small", {}, ` ${of}`)),
    h("meter", {
      min: 0,
      max: limit,
      value: left,
      low: limit * 0.2,
      "aria-label": `${name} left, of ${limit}`,
    }),
    h("p", { class: "facts" }, words),
  );
}

function usage({ days, total }) {
  const refusedOn = (day) => Object.values(day.refused).reduce((sum, number) => sum + number, 0);
  const series = (value) => days.map((day) => ({ date: day.date, value: value(day) }));
  return [
    h(
      "div",
      { class: "charts" },
      bars(
        "Uploads",
        series((day) => day.uploads),
        { show: count, total: total.uploads },
      ),
      bars(
        "API calls",
        series((day) => day.calls),
        { show: count, total: total.calls },
      ),
      bars(
        "Bytes uploaded",
        series((day) => day.bytes),
        { show: bytes, total: total.bytes },
      ),
      bars("Refused calls", series(refusedOn), { show: count, total: refusedOn(total), kind: "refused" }),
    ),
    refusals(total.refused),
    h("details", { class: "numbers" }, h("summary", {}, "The same as a table"), numbers(days, refusedOn)),
  ];
}

function refusals(refused) {
  const rows = Object.entries(refused).sort(([, one], [, other]) => other - one);
  const head = h("h3", {}, "What was refused, and why");
  if (!rows.length) return h("div", { class: "refusals" }, head, h("p", {}, "Nothing in this time."));
  return h(
    "div",
    { class: "refusals" },
    head,
    h(
      "dl",
      {},
      rows.map(([code, number]) =>
        h(
          "div",
          {},
          h("dt", {}, h("code", {}, code), h("strong", {}, count(number))),
          h("dd", {}, REASONS[code] ?? "See the details of the answer."),
        ),
      ),
    ),
  );
}

function numbers(days, refusedOn) {
  return h(
    "div",
    { class: "rows", tabindex: 0, role: "region", "aria-label": "Usage by day" },
    h(
      "table",
      { class: "dense" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["Day", "Uploads", "Deleted", "Calls", "Bytes", "Refused"].map((text) => h("th", { scope: "col" }, text)),
        ),
      ),
      h(
        "tbody",
        {},
        days.toReversed().map((day) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, date(day.date)),
            [count(day.uploads), count(day.deleted), count(day.calls), bytes(day.bytes), count(refusedOn(day))].map((text) =>
              h("td", {}, text),
            ),
          ),
        ),
      ),
    ),
  );
}
