// The shell: who is signed in, which page is shown, and what is around it.

import { whenSessionIsOver } from "./api.js";
import { fill, h, icon } from "./dom.js";
import { notice } from "./notices.js";
import { brand } from "./parts.js";
import { say } from "./say.js";
import { forget, locate, resume, session, signOut } from "./session.js";
import * as images from "./pages/images.js";
import * as keys from "./pages/keys.js";
import * as playground from "./pages/playground.js";
import * as settings from "./pages/settings.js";
import * as start from "./pages/start.js";
import * as usage from "./pages/usage.js";
import * as welcome from "./pages/welcome.js";

const PAGES = { start, images, playground, keys, usage, settings };
const root = document.querySelector("#app");
const line = document.querySelector("#line");
let leaving = new AbortController(); // ends what the page that is shown still has under way
let shell = null; // what is around a page while somebody is signed in

/** "#playground/img_…" is the page and its argument. */
function place() {
  const [name, ...rest] = location.hash.slice(1).split("/");
  return { name: PAGES[name] ? name : "start", argument: decodeURIComponent(rest.join("/")) || null };
}

function showPage() {
  leaving.abort();
  leaving = new AbortController();
  if (!session.account) {
    showWelcome();
    return;
  }
  const first = !shell;
  shell ??= makeShell();
  const { name, argument } = place();
  const page = PAGES[name];
  document.title = `${page.title} · user.photos`;
  shell.mark(name);
  fill(shell.main);
  page.show({ main: shell.main, signal: leaving.signal, argument, left: ended });
  if (!first) shell.main.querySelector("h1")?.focus({ preventScroll: true });
  scrollTo(0, 0);
}

function showWelcome(message) {
  leaving.abort();
  leaving = new AbortController();
  shell = null;
  document.title = "user.photos";
  welcome.show({ root, message, entered: showPage });
}

/** Nobody is signed in any more; `message` says why, on the page that follows. */
function ended(message) {
  forget();
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  showWelcome(message);
}

function makeShell() {
  const main = h("main", { id: "main", tabindex: -1 });
  const links = Object.entries(PAGES).map(([name, page]) =>
    h("a", { href: `#${name}`, "data-page": name }, page.title),
  );
  const menu = h(
    "button",
    { type: "button", class: "menu", "aria-expanded": "false", "aria-controls": "side" },
    icon("menu"),
    "Menu",
  );
  const side = h(
    "div",
    { id: "side", class: "side" },
    h("nav", { "aria-label": "Pages" }, links, h("a", { href: "/docs" }, "Documentation")),
    h("div", { class: "who" }, whoIsHere(), h("p", { class: "tools" }, themeButton(), signOutButton())),
  );
  const toggle = (open) => {
    menu.setAttribute("aria-expanded", String(open));
    side.toggleAttribute("data-open", open);
  };
  menu.addEventListener("click", () => toggle(menu.getAttribute("aria-expanded") !== "true"));
  const skip = h("a", { class: "skip", href: "#main" }, "Skip to the page");
  skip.addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  fill(
    root,
    skip,
    h(
      "div",
      { class: "shell" },
      h("header", { class: "bar" }, h("div", { class: "rail" }, brand(), menu, side)),
      main,
    ),
  );
  const mark = (current) => {
    toggle(false);
    for (const link of links) {
      if (link.dataset.page === current) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    fill(side.querySelector(".who dl"), ...whoIsHere().children);
  };
  return { main, mark };
}

function whoIsHere() {
  const { name, plan } = session.account;
  return h(
    "dl",
    {},
    h("dt", { class: "unseen" }, "Account"),
    h("dd", { class: "name" }, name),
    h("dt", { class: "unseen" }, "Plan"),
    h("dd", {}, `${plan} plan`),
  );
}

function themeButton() {
  const element = h("button", { type: "button", class: "button quiet" }, icon("sun"), "Light or dark");
  element.addEventListener("click", () => {
    const dark =
      getComputedStyle(document.documentElement).colorScheme === "dark" ||
      (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
    const theme = dark ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    localStorage.setItem("theme", theme);
    say(`The ${theme} theme`);
  });
  return element;
}

function signOutButton() {
  const element = h("button", { type: "button", class: "button quiet" }, icon("leave"), "Sign out");
  element.addEventListener("click", async () => {
    try {
      await signOut();
      ended("You are signed out.");
    } catch (problem) {
      if (problem.status !== 401) say(`You are still signed in: ${problem.message}`);
    }
  });
  return element;
}

async function begin() {
  try {
    const [here] = await Promise.all([resume(), locate()]);
    if (here) showPage();
    else showWelcome();
  } catch (problem) {
    fill(root, h("main", { class: "alone" }, brand(), notice(problem, begin)));
  }
}

whenSessionIsOver(() => {
  if (session.account) ended("Your session is over. Sign in again to go on.");
});
addEventListener("hashchange", showPage);
addEventListener("offline", () => (line.textContent = "You are offline. What you see may be old."));
addEventListener("online", () => (line.textContent = ""));
begin();
