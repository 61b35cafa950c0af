// What is shown where there is nothing else to show: refusals, failures, emptiness.

import { button } from "./buttons.js";
import { fill, h } from "./dom.js";
import { sentence, span } from "./format.js";

/**
 * A refusal or a failure, and what to do about it. With `retry`, a button: where the service said when to come
 * back, it counts down to that.
 */
export function notice(problem, retry) {
  const box = h("div", { class: "notice", role: "alert" });
  box.append(
    h("p", {}, h("strong", {}, sentence(problem.message))),
    problem.details ? h("p", {}, sentence(problem.details)) : "",
    h(
      "p",
      { class: "code" },
      problem.requestId ? `${problem.code} · request ${problem.requestId}` : problem.code,
    ),
  );
  if (problem.retrySeconds) box.append(countdown(problem.retrySeconds, retry));
  else if (retry) box.append(h("p", {}, button("Try again", { icon: "turn", act: retry })));
  return box;
}

function countdown(seconds, retry) {
  const until = Date.now() + seconds * 1000;
  const words = h("span", { "aria-hidden": "true" });
  const line = h(
    "p",
    { class: "countdown" },
    words,
    h("span", { class: "unseen" }, `Wait ${span(seconds)}.`),
  );
  const again = retry && button("Try again", { icon: "turn", act: retry });
  const tick = () => {
    const left = (until - Date.now()) / 1000;
    if (left > 0) {
      words.textContent = `You can try again in ${span(left)}.`;
      return;
    }
    clearInterval(timer);
    words.textContent = "You can try again now.";
    again?.removeAttribute("aria-disabled");
  };
  again?.setAttribute("aria-disabled", "true");
  if (again) line.append(again);
  const timer = setInterval(tick, 250);
  tick();
  return line;
}

/** A line that stands where there is nothing yet. */
export function nothing(title, ...words) {
  return h("div", { class: "nothing" }, h("h2", {}, title), h("p", {}, words));
}

/** Shows what `load` gives in `place`, or why it could not; trying again loads again. */
export async function show(place, signal, load) {
  place.setAttribute("aria-busy", "true");
  try {
    const content = await load();
    if (!signal.aborted) fill(place, content);
  } catch (problem) {
    if (!signal.aborted)
      fill(
        place,
        notice(problem, () => show(place, signal, load)),
      );
  } finally {
    place.removeAttribute("aria-busy");
  }
}
