"""Somebody in front of a browser: what they do on the dashboard, and what went wrong in it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Error, Locator, Request, expect

from tests.stack import Stack

ADDRESS: Final = "ada@example.com"
PAGES: Final = ("start", "images", "playground", "keys", "usage", "settings")

_REFUSED: Final = re.compile(r"Failed to load resource: the server responded with a status of (\d+)")
# Pictures below the window may wait until somebody comes near.
_SETTLED: Final = """() => !document.querySelector("[aria-busy]") && [...document.images].every(
    (image) => image.complete || image.getBoundingClientRect().top > innerHeight)"""


class Visitor:
    """A browser profile of its own. `options` are those of Playwright's new_context.

    `complaints` are errors of the console and of scripts, and requests to another host. `expects` are the
    statuses of refusals that the test is about.
    """

    def __init__(self, browser: Browser, stack: Stack, **options: Any) -> None:
        self.base_url = stack.base_url
        self.context = browser.new_context(base_url=stack.base_url, locale="en-GB", **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(15_000)
        self.complaints: list[str] = []
        self.requests: list[Request] = []
        self.expects: set[int] = set()
        self.page.on("console", self._hear)
        self.page.on("pageerror", self._fail)
        self.page.on("request", self._see)
        self.page.on("dialog", lambda dialog: self.complaints.append(f"a dialog: {dialog.message}"))

    def sign_up(self, name: str = "Ada's application") -> str:
        """Makes an account as anybody would; gives the key that the page shows."""
        self.page.goto("/")
        self.page.get_by_label("Name", exact=True).fill(name)
        self.page.get_by_label("E-mail").fill(ADDRESS)
        self.page.get_by_role("button", name="Create my account").click()
        return self.fresh_key()

    def fresh_key(self) -> str:
        """The key that is shown once."""
        return self.page.locator("[data-secret]").inner_text()

    def sign_in(self, key: str) -> None:
        """Pastes the key, as anybody would."""
        self.page.goto("/")
        self.page.get_by_role("button", name="Sign in with it").click()
        self.give_key(key)
        expect(self.page.get_by_role("heading", name="Hello")).to_be_visible()

    def give_key(self, key: str) -> None:
        self.page.get_by_label("API key").fill(key)
        self.page.get_by_role("button", name="Sign in", exact=True).click()

    def visit(self, page: str) -> None:
        """One of PAGES, by its link's address, and what it loads."""
        self.page.goto(f"/#{page}")
        name = page.partition("/")[0]
        expect(self.page.locator(f"[data-page={name}]")).to_have_attribute("aria-current", "page")
        self.settle()

    def settle(self) -> None:
        """Until nothing is loading any more."""
        self.page.wait_for_function(_SETTLED)

    def drop(self, files: Sequence[Path], zone: Locator) -> None:
        """Drags files from the desktop over `zone` and lets go, as the browser hears it from its window."""
        box = zone.bounding_box()
        assert box
        where = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
        window = self.context.new_cdp_session(self.page)
        for kind in ("dragEnter", "dragOver", "drop"):
            window.send("Input.dispatchDragEvent", {"type": kind, **where, "data": data})
        window.detach()

    def upload(self, *files: Path, user_id: str = "12345") -> Locator:
        """Drops pictures on the start page; gives the rows of what became of them, newest first."""
        if urlsplit(self.page.url).fragment not in ("", "start"):
            self.visit("start")
        self.page.get_by_label("User id").fill(user_id)
        self.drop(files, self.zone)
        return self.page.get_by_role("list", name="Uploads").get_by_role("listitem")

    @property
    def zone(self) -> Locator:
        return self.page.locator("label", has_text="Drop pictures here")

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    def cookie(self) -> str:
        """The session's."""
        [value] = [cookie["value"] for cookie in self.context.cookies() if cookie["name"] == "__Host-session"]
        return value

    def close(self) -> None:
        self.context.close()

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        refused = _REFUSED.match(message.text)
        if not (refused and int(refused[1]) in self.expects):
            self.complaints.append(f"{message.text} ({message.location})")

    def _fail(self, error: Error) -> None:
        self.complaints.append(f"{error.name}: {error.message} {error.stack}")

    def _see(self, request: Request) -> None:
        self.requests.append(request)
        if not request.url.startswith((self.base_url, "blob:")):
            self.complaints.append(f"a request to {request.url}")
