// The account's keys: made, shown once, rotated with a grace, revoked.

import { call } from "../api.js";
import { button } from "../buttons.js";
import { fill, h } from "../dom.js";
import { ask, field, form } from "../forms.js";
import { show as load } from "../notices.js";
import { freshKey, heading, moment } from "../parts.js";
import { say } from "../say.js";
import { resume, session, signIn } from "../session.js";

export const title = "Keys";

const DAY_SECONDS = 86_400;
const LIVES = [
  ["", "Never"],
  ["30", "In 30 days"],
  ["90", "In 90 days"],
  ["365", "In a year"],
];
const GRACES = [
  ["0", "At once"],
  ["3600", "In an hour"],
  [String(DAY_SECONDS), "In a day"],
  [String(7 * DAY_SECONDS), "In 7 days"],
];

export function show({ main, signal }) {
  const fresh = h("div", {});
  const list = h("div", {});
  const refresh = () =>
    load(list, signal, async () => {
      const { keys } = await call("GET", "/v1/keys", { signal });
      return table(keys, { refresh, made });
    });
  const reveal = () =>
    fill(
      fresh,
      session.freshKey &&
        freshKey(session.freshKey, () => {
          session.freshKey = null;
          reveal();
          main.querySelector("h1").focus();
        }),
    );
  const made = (apiKey) => {
    session.freshKey = apiKey;
    reveal();
    fresh.querySelector("h2").focus();
  };
  reveal();
  fill(
    main,
    heading("Keys", "One for each program that uploads: then one can go without the others."),
    fresh,
    h("section", { "aria-labelledby": "all-keys" }, h("h2", { id: "all-keys" }, "Your keys"), list),
    h(
      "section",
      { "aria-labelledby": "new-key" },
      h("h2", { id: "new-key" }, "Make a key"),
      maker({ made, refresh }),
    ),
  );
  refresh();
}

function maker({ made, refresh }) {
  const name = field("Name", {
    hint: "Where it will be used, such as “production”.",
    maxlength: 255,
    autocomplete: "off",
    required: true,
  });
  const life = field("Expires", { options: LIVES });
  return form([h("div", { class: "row" }, name.element, life.element)], {
    submit: "Make a key",
    send: async () => {
      const given = name.input.value.trim();
      if (!given) return name.fail("Give it a name.");
      const body = { name: given };
      if (life.input.value) body.expires_at = inDays(Number(life.input.value));
      const { api_key } = await call("POST", "/v1/keys", { body });
      name.input.value = "";
      made(api_key);
      return refresh();
    },
  });
}

const inDays = (days) =>
  new Date(Date.now() + days * DAY_SECONDS * 1000).toISOString().replace(/\.\d+Z$/, "Z");

function table(keys, actions) {
  return h(
    "div",
    { class: "rows" },
    h(
      "table",
      {},
      h("caption", { class: "unseen" }, "Keys of this account"),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["Name", "Key", "Made", "Last used", "Expires", ""].map((text) =>
            h("th", { scope: "col" }, text || h("span", { class: "unseen" }, "Actions")),
          ),
        ),
      ),
      h(
        "tbody",
        {},
        keys.map((key) => row(key, actions)),
      ),
    ),
  );
}

function row(key, actions) {
  return h(
    "tr",
    { "data-key": key.id },
    h("th", { scope: "row" }, key.name),
    h("td", { "data-label": "Key" }, key.hint ? h("code", {}, key.hint) : "not kept"),
    h("td", { "data-label": "Made" }, moment(key.created_at)),
    h("td", { "data-label": "Last used" }, moment(key.last_used_at)),
    h("td", { "data-label": "Expires" }, moment(key.expires_at)),
    h(
      "td",
      { class: "actions" },
      button("Rotate", { icon: "turn", "aria-label": `Rotate ${key.name}`, act: () => rotate(key, actions) }),
      button("Revoke", {
        icon: "bin",
        kind: "risky",
        "aria-label": `Revoke ${key.name}`,
        act: () => revoke(key, actions),
      }),
    ),
  );
}

async function rotate(key, { refresh, made }) {
  const grace = field("The old key ends", {
    options: GRACES,
    hint: "Until then both are valid: time to put the new one in place.",
  });
  grace.input.value = String(DAY_SECONDS);
  const done = await ask({
    title: `Rotate “${key.name}”?`,
    body: [h("p", {}, "You get a new key of the same name."), grace.element],
    confirm: "Rotate it",
    kind: "primary",
    run: () =>
      call("POST", `/v1/keys/${encodeURIComponent(key.id)}/rotate`, {
        body: { grace_seconds: Number(grace.input.value) },
      }),
  });
  if (!done) return;
  // Without a grace this session may have ended with the old key, and nobody would see the new one.
  if (grace.input.value === "0" && !(await resume())) await signIn(done.api_key);
  made(done.api_key);
  refresh();
}

async function revoke(key, { refresh }) {
  const done = await ask({
    title: `Revoke “${key.name}”?`,
    body: [
      h(
        "p",
        {},
        "What still uses it is refused from now on. Sessions that were opened with it end too: if yours was, you are signed out.",
      ),
    ],
    confirm: "Revoke it",
    run: () => call("DELETE", `/v1/keys/${encodeURIComponent(key.id)}`),
  });
  if (!done) return;
  say(`Revoked ${key.name}`);
  refresh();
}
