// After the account is deleted: the receipt.

import { fill, h } from "../dom.js";
import { count, counted } from "../format.js";
import { brand } from "../parts.js";

/** What went, as a page of its own: there is nothing left to be signed in to. */
export function farewell(receipt) {
  const { account_id, images, objects, nodes, keys, sessions, purge } = receipt;
  const rows = [
    ["Account", h("code", {}, account_id)],
    ["Pictures", count(images)],
    ["Stored files", count(objects)],
    ["Keys", count(keys)],
    ["Sessions", count(sessions)],
    ["Told", counted(nodes, "serving node")],
  ];
  const file = new Blob([`${JSON.stringify(receipt, null, 2)}\n`], { type: "application/json" });
  fill(
    document.querySelector("#app"),
    h(
      "main",
      { id: "main", class: "alone" },
      brand(),
      h("h1", { tabindex: -1 }, "The account is deleted"),
      h(
        "p",
        {},
        purge
          ? "Its pictures are going: a part that did not answer yet follows within minutes."
          : "Nothing of it is left here. Browsers that have a picture may show it for a day.",
      ),
      h(
        "dl",
        { class: "facts-list receipt" },
        rows.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))),
      ),
      h(
        "p",
        { class: "actions" },
        h(
          "a",
          { class: "button", href: URL.createObjectURL(file), download: `${account_id}-deleted.json` },
          "Save the receipt",
        ),
        h("a", { class: "button quiet", href: "/" }, "Back to the beginning"),
      ),
    ),
  );
  document.querySelector("h1").focus();
}
