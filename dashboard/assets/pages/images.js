// Every picture of the account: looked for by user, copied, deleted.

import { call } from "../api.js";
import { button, copyButton } from "../buttons.js";
import { fill, h, icon, webAddress } from "../dom.js";
import { bytes, count, counted } from "../format.js";
import { ask, field, form } from "../forms.js";
import { nothing, notice } from "../notices.js";
import { heading, moment } from "../parts.js";
import { say } from "../say.js";

export const title = "Images";
const PAGE_SIZE = 24;
const DOTS = /^\.{1,2}$/; // browsers take these for folders of a path, also encoded

export function show({ main, signal }) {
  const user = field("User id", {
    hint: "Exactly as you sent it. Empty: everybody’s.",
    type: "search",
    maxlength: 255,
    autocomplete: "off",
    spellcheck: "false",
  });
  const wall = h("ul", { class: "wall" });
  const more = h("div", { class: "more" });
  const about = h("div", { class: "about" });
  let sought = "";

  const load = async (cursor) => {
    const query = new URLSearchParams({ limit: PAGE_SIZE });
    if (sought) query.set("user_id", sought);
    if (cursor) query.set("cursor", cursor);
    const page = await call("GET", `/v1/images?${query}`, { signal });
    const tiles = page.images.map((image) => tile(image, removed));
    wall.append(...tiles);
    fill(more, page.next_cursor && button("Show older pictures", { act: () => older(page.next_cursor) }));
    return tiles;
  };
  const older = async (cursor) => {
    try {
      const [first] = await load(cursor);
      first?.querySelector("a").focus();
    } catch (problem) {
      if (!signal.aborted)
        fill(
          more,
          notice(problem, () => older(cursor)),
        );
    }
  };
  const begin = async () => {
    fill(wall);
    fill(more);
    fill(about);
    wall.setAttribute("aria-busy", "true");
    try {
      const tiles = await load();
      if (sought && tiles.length)
        fill(
          about,
          h("p", {}, "Pictures of ", h("strong", {}, sought)),
          !DOTS.test(sought) && deleteAll(sought, begin),
        );
      if (!tiles.length) empty();
    } catch (problem) {
      if (!signal.aborted) fill(more, notice(problem, begin));
    } finally {
      wall.removeAttribute("aria-busy");
    }
  };
  const empty = () => {
    fill(
      more,
      sought
        ? nothing(
            "No picture of that user",
            "The user id has to be exactly the one that was sent with the upload.",
          )
        : nothing("No picture yet", h("a", { href: "#start" }, "Upload the first one"), "; it appears here."),
    );
  };
  const removed = (gone) => {
    const next = gone.nextElementSibling ?? gone.previousElementSibling;
    gone.remove();
    (next?.querySelector("a") ?? main.querySelector("h1")).focus();
    if (!wall.children.length) begin();
  };

  fill(
    main,
    heading("Images", "Newest first. A deleted picture is gone from every size at once."),
    form([user.element], {
      submit: "Search",
      kind: "",
      send: async () => {
        sought = user.input.value.trim();
        await begin();
        say(wall.children.length ? counted(wall.children.length, "picture") : "No picture found");
      },
    }),
    about,
    wall,
    more,
  );
  main.querySelector("form").classList.add("search");
  main.querySelector("form").setAttribute("role", "search");
  begin();
}

function tile(image, removed) {
  const url = webAddress(image.image_url);
  const { width, height } = image.dimensions;
  const of = `the picture of user ${image.user_id}`;
  const element = h(
    "li",
    { class: "tile" },
    h(
      "a",
      { href: url },
      h("img", {
        src: `${url}?w=360&h=360`,
        alt: `Picture of user ${image.user_id}, ${image.image_id}`,
        loading: "lazy",
        width: 180,
        height: 180,
      }),
    ),
    h(
      "div",
      {},
      h("p", { class: "user" }, image.user_id),
      h(
        "p",
        { class: "facts" },
        `${count(width)} × ${count(height)} · ${bytes(image.file_size)}`,
        h("br"),
        moment(image.upload_date),
      ),
      h(
        "p",
        { class: "actions" },
        copyButton(() => image.image_url, `the URL of ${image.image_id}`, "Copy URL"),
        h(
          "a",
          {
            class: "button quiet",
            href: `#playground/${image.image_id}`,
            "aria-label": `Try sizes of ${image.image_id}`,
          },
          icon("sliders"),
        ),
        button("", {
          kind: "quiet risky",
          icon: "bin",
          "aria-label": `Delete ${image.image_id}`,
          act: () => remove(),
        }),
      ),
    ),
  );
  const remove = async () => {
    const done = await ask({
      title: "Delete this picture?",
      body: [
        h("img", { class: "doomed", src: `${url}?w=240&h=240`, alt: "", width: 120, height: 120 }),
        h(
          "p",
          {},
          `It is ${of}. Its URL answers “not found” at once, in every size, and never works again. A browser that has it may show it for a day.`,
        ),
      ],
      confirm: "Delete it",
      run: () => call("DELETE", `/v1/images/${image.image_id}`),
    });
    if (!done) return;
    say(done.purge ? "Deleted. A node that does not answer yet follows within minutes." : "Deleted");
    removed(element);
  };
  return element;
}

function deleteAll(userId, begin) {
  return button("Delete all of them", {
    kind: "risky",
    icon: "bin",
    act: async () => {
      const done = await ask({
        title: "Delete every picture of this user?",
        body: [
          h(
            "p",
            {},
            "All pictures of ",
            h("strong", {}, userId),
            ", also those that are not shown here. They cannot be brought back.",
          ),
        ],
        confirm: "Delete all of them",
        run: () => call("DELETE", `/v1/users/${encodeURIComponent(userId)}`),
      });
      if (!done) return;
      say(`Deleted ${counted(done.image_ids.length, "picture")}`);
      begin();
    },
  });
}
