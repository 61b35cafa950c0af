// The place to drop pictures: one upload after the other, each with its progress, its picture and its URL.

import { upload } from "./api.js";
import { button, copyButton } from "./buttons.js";
import { fill, h, icon, webAddress } from "./dom.js";
import { bytes, count } from "./format.js";
import { field } from "./forms.js";
import { notice } from "./notices.js";
import { say } from "./say.js";

const MAX_BYTES = 10 * 1024 * 1024;

/** The drop zone and what became of what was dropped. `stored` hears of every picture. */
export function uploader({ signal, stored }) {
  const user = field("User id", {
    hint: "Whose picture it is: any text of yours.",
    value: "12345",
    maxlength: 255,
    autocomplete: "off",
    spellcheck: "false",
  });
  const input = h("input", {
    type: "file",
    id: "pictures",
    class: "unseen",
    accept: "image/jpeg,image/png,image/webp",
    multiple: true,
  });
  const zone = h(
    "label",
    { class: "zone", for: "pictures" },
    h("span", { class: "crop", "aria-hidden": "true" }),
    icon("rise"),
    h("strong", {}, "Drop pictures here"),
    h("span", {}, "or choose them: JPEG, PNG or WebP, up to 10 MiB each"),
  );
  const results = h("ol", { class: "uploads", "aria-label": "Uploads" });
  let queue = Promise.resolve();

  const take = (files) => {
    const userId = user.input.value;
    if (!userId.trim()) return user.fail("Say whose picture it is.");
    for (const file of files) {
      const row = h("li", {});
      results.prepend(row);
      waiting(row, file);
      queue = queue.then(() => signal.aborted || send(row, file, userId, { signal, stored }));
    }
    return undefined;
  };

  input.addEventListener("change", () => {
    take(input.files);
    input.value = ""; // the same file again is a change, too
  });
  const over = (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    zone.toggleAttribute("data-over", event.type === "dragover");
    if (event.type === "drop") take(event.dataTransfer.files);
  };
  for (const type of ["dragover", "dragleave", "drop"]) zone.addEventListener(type, over);
  // Beside the zone a dropped picture would open, and the page with its key would be gone.
  for (const type of ["dragover", "drop"])
    addEventListener(type, (event) => event.preventDefault(), { signal });
  return h("div", { class: "uploader" }, user.element, h("div", { class: "drop" }, input, zone), results);
}

function waiting(row, file) {
  fill(row, h("p", {}, h("strong", {}, file.name), " ", h("small", {}, `${bytes(file.size)}, waiting`)));
}

async function send(row, file, userId, { signal, stored }) {
  const again = () => send(row, file, userId, { signal, stored });
  if (file.size > MAX_BYTES) {
    return fill(
      row,
      name(file),
      notice({
        code: "FILE_TOO_LARGE",
        message: `It has ${count(file.size)} bytes`,
        details: "Send at most 10,485,760 bytes",
      }),
    );
  }
  const cancelled = new AbortController();
  const bar = h("progress", { max: 1, value: 0, "aria-label": `Upload of ${file.name}` });
  const words = h("small", {}, "0 %");
  const progress = (part) => {
    bar.value = part;
    words.textContent = part < 1 ? `${Math.floor(part * 100)} %` : "Sent. Checking the picture…";
  };
  fill(
    row,
    name(file),
    h(
      "p",
      { class: "sending" },
      bar,
      words,
      button("Cancel", { kind: "quiet", act: () => cancelled.abort() }),
    ),
  );
  try {
    const image = await upload(userId, file, {
      progress,
      signal: AbortSignal.any([signal, cancelled.signal]),
    });
    fill(row, uploaded(image));
    say("Stored. Its URL works now.");
    stored(image);
  } catch (problem) {
    if (signal.aborted) return undefined;
    if (problem.name === "AbortError") fill(row, name(file), h("p", {}, "Cancelled."));
    else
      fill(row, name(file), notice(problem, problem.status === 400 || problem.status === 413 ? null : again));
  }
  return undefined;
}

const name = (file) => h("p", {}, h("strong", {}, file.name), " ", h("small", {}, bytes(file.size)));

function uploaded(image) {
  const url = webAddress(image.image_url);
  const { width, height } = image.dimensions;
  return h(
    "div",
    { class: "stored" },
    h(
      "a",
      { href: url, class: "thumb" },
      h("img", {
        src: `${url}?w=240&h=240`,
        alt: `The picture of user ${image.user_id}`,
        width: 120,
        height: 120,
      }),
    ),
    h(
      "div",
      {},
      h("p", { class: "url" }, h("a", { href: url }, image.image_url)),
      h(
        "p",
        {},
        h(
          "small",
          {},
          `user ${image.user_id} · ${count(width)} × ${count(height)} · ${bytes(image.file_size)}`,
        ),
      ),
      h(
        "p",
        { class: "actions" },
        copyButton(() => image.image_url, "the URL", "Copy URL"),
        h("a", { class: "button", href: `#playground/${image.image_id}` }, icon("sliders"), "Try sizes"),
      ),
    ),
  );
}
