// The playground’s picture between its two measures, and what it weighs.

import { explain, refusal } from "./api.js";
import { fill, h } from "./dom.js";
import { bytes, count } from "./format.js";
import { notice } from "./notices.js";

/** The picture between its two measures, and what it weighs. */
export function makeStage() {
  const picture = h("img", { alt: "" });
  const across = h("span", { class: "across", "aria-hidden": "true" });
  const down = h("span", { class: "down", "aria-hidden": "true" });
  const frame = h("div", { class: "frame" }, picture, across, down);
  const facts = h("p", { class: "facts", role: "status" });
  const refused = h("div", {});
  const element = h(
    "figure",
    { class: "stage" },
    h("div", { class: "ground" }, frame),
    h("figcaption", {}, facts, refused),
  );
  let shown = null;

  const draw = async (url, image, signal, again) => {
    element.setAttribute("aria-busy", "true");
    try {
      const began = performance.now();
      const answer = await fetch(url, { signal, credentials: "omit" });
      if (!answer.ok) throw refusal(answer.status, await answer.text(), (name) => answer.headers.get(name));
      const blob = await answer.blob();
      const took = performance.now() - began;
      const next = URL.createObjectURL(blob);
      const bitmap = new Image();
      bitmap.src = next;
      await bitmap.decode();
      if (signal.aborted) return URL.revokeObjectURL(next);
      clear();
      shown = picture.src = next;
      describe(bitmap, blob, image, took);
      fill(refused);
      frame.hidden = false;
    } catch (error) {
      if (signal.aborted) return undefined;
      clear();
      fill(facts);
      fill(refused, notice(explain(error, signal), again));
    } finally {
      if (!signal.aborted) element.removeAttribute("aria-busy");
    }
    return undefined;
  };

  const describe = ({ naturalWidth: width, naturalHeight: height }, { size, type }, image, took) => {
    Object.assign(picture, {
      width,
      height,
      alt: `Picture of user ${image.user_id}, ${width} by ${height} pixels`,
    });
    across.textContent = `${count(width)} px`;
    down.textContent = `${count(height)} px`;
    const kind = type.replace("image/", "").toUpperCase();
    const part = size / image.file_size;
    fill(
      facts,
      h("strong", { "data-bytes": size }, bytes(size)),
      ` ${kind} · ${count(width)} × ${count(height)} · `,
      part < 1
        ? `${Math.max(1, Math.round(part * 100))} % of the upload’s ${bytes(image.file_size)}`
        : `the upload has ${bytes(image.file_size)}`,
      ` · ${Math.round(took)} ms`,
      kind === "PNG" ? h("span", { class: "aside" }, " PNG loses nothing: q changes nothing.") : null,
    );
  };

  const clear = () => {
    if (shown) URL.revokeObjectURL(shown);
    shown = null;
    frame.hidden = true;
  };
  clear();
  return { element, draw, clear };
}
