// The account itself: its name, who is signed in to it, and its end.

import { call } from "../api.js";
import { button, copyButton } from "../buttons.js";
import { fill, h } from "../dom.js";
import { browser, longDate, when } from "../format.js";
import { ask, field, form } from "../forms.js";
import { show as load } from "../notices.js";
import { heading, moment } from "../parts.js";
import { say } from "../say.js";
import { session } from "../session.js";
import { farewell } from "./farewell.js";

export const title = "Settings";

export function show({ main, signal, left }) {
  const sessions = h("div", {});
  const refresh = () =>
    load(sessions, signal, async () => {
      const answer = await call("GET", "/v1/sessions", { signal });
      return sessionList(answer.sessions, { refresh, left });
    });
  fill(
    main,
    heading("Settings", "The account, and who is signed in to it."),
    h("section", { "aria-labelledby": "account" }, h("h2", { id: "account" }, "Account"), renamer(), facts()),
    h(
      "section",
      { "aria-labelledby": "sessions" },
      h("h2", { id: "sessions" }, "Sessions"),
      h(
        "p",
        {},
        "Browsers that are signed in. A session ends after 30 days, and with the key that opened it.",
      ),
      sessions,
    ),
    h(
      "section",
      { class: "end", "aria-labelledby": "end" },
      h("h2", { id: "end" }, "Delete the account"),
      h("p", {}, "Every picture, every key and every session goes, at once and for good. You get a receipt."),
      h(
        "p",
        { class: "actions" },
        button("Delete the account…", { kind: "risky", icon: "bin", act: () => end(left) }),
      ),
    ),
  );
  refresh();
}

function renamer() {
  const name = field("Name", {
    value: session.account.name,
    maxlength: 255,
    autocomplete: "organization",
    required: true,
  });
  return form([name.element], {
    submit: "Save the name",
    kind: "",
    send: async () => {
      const given = name.input.value.trim();
      if (!given) return name.fail("The account needs a name.");
      const { account } = await call("PATCH", "/v1/account", { body: { name: given } });
      session.account = account;
      document.querySelector(".who .name").textContent = account.name;
      return say("Saved");
    },
  });
}

function facts() {
  const { id, email, plan, created_at } = session.account;
  const rows = [
    ["E-mail", email || "none"],
    ["Plan", plan],
    ["Since", longDate(created_at)],
  ];
  return h(
    "dl",
    { class: "facts-list" },
    rows.map(([term, text]) => h("div", {}, h("dt", {}, term), h("dd", {}, text))),
    h(
      "div",
      {},
      h("dt", {}, "Id"),
      h(
        "dd",
        {},
        h("code", {}, id),
        " ",
        copyButton(() => id, "the account’s id"),
      ),
    ),
  );
}

function sessionList(sessions, { refresh, left }) {
  const everywhere = async () => {
    const done = await ask({
      title: "Sign out everywhere?",
      body: [h("p", {}, "Every browser is signed out, this one too. Keys stay valid.")],
      confirm: "Sign out everywhere",
      run: () => call("DELETE", "/v1/sessions"),
    });
    if (done) left("You are signed out everywhere.");
  };
  return [
    h(
      "ul",
      { class: "sessions" },
      sessions.map((each) => row(each, { refresh, left })),
    ),
    h("p", { class: "actions" }, button("Sign out everywhere", { icon: "leave", act: everywhere })),
  ];
}

function row({ id, user_agent, created_at, last_used_at, expires_at, current }, { refresh, left }) {
  const name = browser(user_agent);
  const used = last_used_at ? ["last used ", moment(last_used_at)] : ["signed in ", moment(created_at)];
  const signOut = async () => {
    await call("DELETE", `/v1/sessions/${encodeURIComponent(id)}`);
    if (current) return left("You are signed out.");
    say("Signed out");
    return refresh();
  };
  return h(
    "li",
    {},
    h(
      "div",
      {},
      h(
        "p",
        {},
        h("strong", { title: user_agent }, name),
        current && h("span", { class: "here" }, "this one"),
      ),
      h("p", { class: "facts" }, used, ", ends ", moment(expires_at)),
    ),
    button("Sign out", {
      icon: "leave",
      act: signOut,
      "aria-label": current ? "Sign out here" : `Sign out ${name}, signed in ${when(created_at)}`,
    }),
  );
}

async function end(left) {
  const { id, name } = session.account;
  const typed = field("Type the account’s id to confirm", {
    hint: id,
    autocomplete: "off",
    spellcheck: "false",
  });
  const done = await ask({
    title: "Delete the account?",
    body: [
      h("p", {}, "All that is in ", h("strong", {}, name), " goes. It cannot be brought back."),
      typed.element,
    ],
    confirm: "Delete it for good",
    ready: () => typed.input.value.trim() === id || typed.fail("This is not the account’s id."),
    run: () => call("DELETE", "/v1/account", { body: { confirm: id } }),
  });
  if (done) {
    localStorage.removeItem("been");
    left();
    farewell(done.receipt);
  }
}
