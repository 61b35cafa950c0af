// The first minute: a key, a first picture, and the code that does the same.

import { copyButton } from "../buttons.js";
import { fill, h } from "../dom.js";
import { freshKey, heading } from "../parts.js";
import { samples } from "../samples.js";
import { session } from "../session.js";
import { uploader } from "../uploader.js";

export const title = "Start";

export function show({ main, signal }) {
  const key = h("div", {});
  const code = h("div", {});
  let image = null;
  const draw = () => {
    const { api_url: api, cdn_url: cdn } = session.bases;
    fill(code, tabs(samples({ api, cdn, key: session.freshKey, image })));
  };
  const stored = ({ image_id }) => {
    image = image_id;
    draw();
  };
  if (session.freshKey) {
    const forget = () => {
      session.freshKey = null;
      fill(key);
      draw();
      main.querySelector("h1").focus();
    };
    fill(key, freshKey(session.freshKey, forget));
  }
  draw();
  fill(
    main,
    heading(`Hello, ${session.account.name}`, "A key, a picture, a URL. Then the same from your own code."),
    key,
    h(
      "section",
      { "aria-labelledby": "first" },
      h("h2", { id: "first" }, "Upload a picture"),
      uploader({ signal, stored }),
    ),
    h(
      "section",
      { "aria-labelledby": "code" },
      h("h2", { id: "code" }, "From your backend"),
      h(
        "p",
        {},
        session.freshKey
          ? "Your key and your addresses are filled in. "
          : [
              "Put your key where it says YOUR_API_KEY, or ",
              h("a", { href: "#keys" }, "make a new one"),
              ". ",
            ],
        "The ",
        h("a", { href: "/docs" }, "documentation"),
        " has the whole of it.",
      ),
      code,
    ),
  );
}

let chosen = 0;

/** Tabs after the ARIA practices: arrows move, one is in the order of Tab. */
function tabs(all) {
  const panel = h("div", { role: "tabpanel", id: "sample", "aria-labelledby": `tab-${chosen}`, tabindex: 0 });
  const buttons = all.map(([language], index) =>
    h(
      "button",
      {
        type: "button",
        role: "tab",
        id: `tab-${index}`,
        "aria-controls": "sample",
        on: { click: () => choose(index) },
      },
      language,
    ),
  );
  const choose = (index, focus = false) => {
    chosen = index;
    const [language, text] = all[index];
    buttons.forEach((tab, at) => {
      tab.setAttribute("aria-selected", String(at === index));
      tab.tabIndex = at === index ? 0 : -1;
    });
    panel.setAttribute("aria-labelledby", `tab-${index}`);
    fill(panel, h("pre", {}, h("code", {}, text)));
    fill(
      copy,
      copyButton(() => text, `the ${language} sample`),
    );
    if (focus) buttons[index].focus();
  };
  const list = h("div", { role: "tablist", "aria-label": "Languages" }, buttons);
  const copy = h("div", { class: "copy" });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) choose((chosen + step + all.length) % all.length, true);
  });
  choose(Math.min(chosen, all.length - 1));
  return h("div", { class: "samples" }, h("div", { class: "tabs" }, list, copy), panel);
}
