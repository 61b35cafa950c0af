// Before anybody is signed in: a new account, or the key of one.

import { fill, h, s } from "../dom.js";
import { field, form } from "../forms.js";
import { brand } from "../parts.js";
import { signIn, signUp } from "../session.js";

/** Shows the page in `root`; `entered` is called when somebody is signed in. `message`: why we are here again. */
export function show({ root, message, entered }) {
  const card = h("div", { class: "card" });
  const been = localStorage.getItem("been") === "yes";
  const enter = () => {
    localStorage.setItem("been", "yes"); // next time, the key is what is asked for
    entered();
  };
  const turn = (side, focus) => {
    fill(card, side(enter, turn));
    if (focus) card.querySelector("input").focus();
  };
  fill(
    root,
    h(
      "div",
      { class: "welcome" },
      h(
        "header",
        { class: "print" },
        brand(),
        h("p", { class: "pitch" }, "One upload.", h("br"), "Every size."),
        h("p", {}, "Post a user’s picture once; the URL does the rest: width, height, quality and format."),
        blueprint(),
      ),
      h(
        "main",
        { id: "main" },
        message && h("p", { class: "message", role: "status" }, message),
        card,
        h("p", { class: "aside" }, h("a", { href: "/docs" }, "Read the documentation")),
      ),
    ),
  );
  turn(been || message ? keyForm : accountForm, Boolean(message));
}

function accountForm(enter, turn) {
  const name = field("Name", {
    hint: "Of your application or your company.",
    name: "name",
    autocomplete: "organization",
    maxlength: 255,
    required: true,
  });
  const email = field("E-mail", { name: "email", type: "email", autocomplete: "email", required: true });
  const invite = field("Invite code", { name: "invite", autocomplete: "off", spellcheck: "false" });
  const invited = h("details", {}, h("summary", {}, "I have an invite code"), invite.element);
  const fields = { name, email, invite };
  return [
    h("h1", { tabindex: -1 }, "Create an account"),
    h("p", {}, "You get an API key at once. Nothing is sent to your address."),
    form([name.element, email.element, invited], {
      submit: "Create my account",
      send: async () => {
        if (!name.input.value.trim()) return name.fail("Say what to call the account.");
        if (!email.input.validity.valid) return email.fail("This does not look like an e-mail address.");
        try {
          await signUp({
            name: name.input.value.trim(),
            email: email.input.value.trim(),
            invite: invite.input.value.trim(),
          });
        } catch (problem) {
          return explain(problem, fields, invited);
        }
        return enter();
      },
    }),
    h(
      "p",
      { class: "turn" },
      "You have a key? ",
      turnButton("Sign in with it", () => turn(keyForm, true)),
    ),
  ];
}

/** Beside the field that it is about, where the refusal names one. */
function explain(problem, fields, invited) {
  if (problem.code === "INVALID_INVITE") {
    invited.open = true;
    return fields.invite.fail(`${problem.message}. ${problem.details}`);
  }
  const about = problem.code === "INVALID_PARAMETER" && /^(name|email|invite)\b/.exec(problem.details)?.[1];
  if (about) return fields[about].fail(problem.details);
  throw problem;
}

function keyForm(enter, turn) {
  const key = field("API key", {
    hint: "It begins with up_live_. Your browser gets a session of 30 days for it, and does not keep the key.",
    name: "api-key",
    type: "password",
    autocomplete: "current-password",
    spellcheck: "false",
    required: true,
  });
  return [
    h("h1", { tabindex: -1 }, "Sign in"),
    form([key.element], {
      submit: "Sign in",
      send: async () => {
        const given = key.input.value.trim();
        if (!given) return key.fail("Paste your API key.");
        try {
          await signIn(given);
        } catch (problem) {
          if (problem.status !== 401) throw problem;
          return key.fail("This key is unknown, revoked or expired. Paste the whole of it, or use another.");
        }
        return enter();
      },
    }),
    h(
      "p",
      { class: "turn" },
      "New here? ",
      turnButton("Create an account", () => turn(accountForm, true)),
    ),
  ];
}

function turnButton(label, act) {
  return h("button", { type: "button", class: "link", on: { click: act } }, label);
}

/** A portrait, and the sizes that its URL can ask for, as an engineer would draw them. */
function blueprint() {
  const portrait = (x, y, width, height) => {
    const cx = x + width / 2;
    const unit = Math.min(width, height);
    const clip = `crop-${x}-${y}`;
    return [
      s("clipPath", { id: clip }, s("rect", { x, y, width, height })),
      s(
        "g",
        { "clip-path": `url(#${clip})` },
        s("rect", { class: "ground", x, y, width, height }),
        s("circle", { class: "figure", cx, cy: y + height * 0.42, r: unit * 0.19 }),
        s("ellipse", { class: "figure", cx, cy: y + height * 1.02, rx: unit * 0.38, ry: unit * 0.36 }),
      ),
      s("rect", { class: "frame", x, y, width, height }),
    ];
  };
  const across = (x, y, width, text) =>
    s(
      "g",
      { class: "dimension" },
      s("path", { d: `M${x} ${y}h${width}M${x} ${y - 4}v8M${x + width} ${y - 4}v8` }),
      s("text", { x: x + width / 2, y: y + 17, "text-anchor": "middle" }, text),
    );
  return s(
    "svg",
    { class: "blueprint", viewBox: "19.5 19.5 383 257", "aria-hidden": "true" },
    portrait(20, 20, 220, 220),
    across(20, 256, 220, "?w=440"),
    portrait(270, 20, 130, 78),
    across(270, 112, 130, "?w=260&h=156"),
    portrait(270, 152, 60, 60),
    across(270, 226, 60, "?w=120"),
    portrait(368, 180, 32, 32),
    across(368, 226, 32, "?w=64"),
  );
}
