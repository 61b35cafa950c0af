"""Every page in both themes, wide and narrow: drawn, accessible, and no wider than the window."""

from typing import Any, Final

import pytest
from playwright.sync_api import expect

from deploy.local.programs import CHECKOUT
from tests import pictures
from tests.dashboard.conftest import MakeVisitor
from tests.dashboard.visitor import PAGES, Visitor
from tests.e2e import calls
from tests.stack import Stack

SCREENSHOTS: Final = CHECKOUT / "build" / "screenshots"
PHOTO: Final = CHECKOUT / "docs" / "sample.jpg"
LONG: Final = "a user id of somebody who likes " + "long" * 40
WIDTHS: Final = {"wide": 1280, "narrow": 360}


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    """Of an account with a few pictures and keys, and something refused."""
    made = stack.create_account("business", "Acme Avatars")
    with calls.client(stack, made) as api:
        for number, user_id in enumerate(["12345", "grace@example.com", LONG, "7f0c-4e1d", "ada", "12346"]):
            calls.upload(api, PHOTO.read_bytes() if number % 2 else pictures.webp(300, 200 + number), user_id)
        assert calls.refusal(calls.send(api)) == (400, "MISSING_USER_ID")
        for name in ("production", "staging"):
            assert api.post("/v1/keys", json={"name": name}).status_code == 201
    return made


class Look:
    """One theme and width: each page is photographed, measured and, where there is an `axe`, checked."""

    def __init__(self, visitor: Visitor, axe: str | None, theme: str, width: str) -> None:
        self.visitor = visitor
        self.ending = f"{theme}-{width}"
        self.width = WIDTHS[width]
        self.axe = axe
        if axe:
            visitor.context.add_init_script(axe)
        self.findings: list[str] = []

    def take(self, name: str, *, full_page: bool = True) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page, path = self.visitor.page, SCREENSHOTS / f"{name}-{self.ending}.png"
        page.screenshot(path=path, full_page=full_page, animations="disabled")
        if page.evaluate("document.documentElement.scrollWidth") > self.width:
            self.findings.append(f"{name} is wider than the window")
        if not self.axe:
            return
        result: Any = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        for finding in result["violations"]:
            if finding["impact"] in ("serious", "critical"):
                where = [node["target"] for node in finding["nodes"]]
                self.findings.append(f"{name}: {finding['id']}: {finding['help']}: {where}")


@pytest.fixture(params=[(theme, width) for theme in ("light", "dark") for width in WIDTHS], ids="-".join)
def look(request: pytest.FixtureRequest, make_visitor: MakeVisitor, axe: str) -> Look:
    theme, width = request.param
    size = {"width": WIDTHS[width], "height": 740 if width == "narrow" else 900}
    visitor = make_visitor(viewport=size, color_scheme=theme, reduced_motion="reduce")
    # Colours are those of the wide window, and places those of the light one.
    return Look(visitor, None if (theme, width) == ("dark", "narrow") else axe, theme, width)


def test_every_page_is_accessible_and_fits(look: Look, key: str) -> None:
    visitor = look.visitor
    visitor.page.goto("/")
    expect(visitor.page.get_by_role("heading", name="Create an account")).to_be_visible()
    look.take("sign-up")
    visitor.page.get_by_role("button", name="Sign in with it").click()
    look.take("sign-in")
    visitor.sign_in(key)
    for page in PAGES:
        visitor.visit(page)
        look.take(page)
    visitor.visit("images")
    visitor.page.get_by_role("button", name="Delete img_").first.click()
    look.take("delete", full_page=False)
    visitor.dialog.get_by_role("button", name="Cancel").click()
    rows = visitor.upload(PHOTO)
    expect(rows.get_by_role("img")).to_be_visible()
    visitor.settle()
    look.take("uploaded")
    visitor.page.goto("/docs")
    visitor.settle()
    look.take("docs")
    assert look.findings == []


def test_every_page_can_be_reached_without_a_mouse(visitor: Visitor, key: str) -> None:
    visitor.sign_in(key)
    for name in ("Images", "Playground", "Keys", "Usage", "Settings"):
        visitor.page.get_by_role("link", name=name, exact=True).focus()
        visitor.page.keyboard.press("Enter")
        expect(visitor.page.locator("h1")).to_be_focused()
        expect(visitor.page.locator("h1")).to_have_text(name)
        expect(visitor.page).to_have_title(f"{name} · user.photos")


def test_the_first_stop_of_the_tab_key_skips_to_the_page(visitor: Visitor, key: str) -> None:
    visitor.sign_in(key)
    visitor.page.reload()
    expect(visitor.page.locator("h1")).to_be_visible()
    visitor.page.keyboard.press("Tab")
    expect(visitor.page.get_by_role("link", name="Skip to the page")).to_be_focused()
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.get_by_role("main")).to_be_focused()


def test_the_menu_of_a_narrow_window_opens_and_closes(make_visitor: MakeVisitor, key: str) -> None:
    visitor = make_visitor(viewport={"width": 360, "height": 740})
    visitor.sign_in(key)
    menu, link = (
        visitor.page.get_by_role("button", name="Menu"),
        visitor.page.get_by_role("link", name="Keys"),
    )
    expect(link).to_be_hidden()
    menu.click()
    expect(menu).to_have_attribute("aria-expanded", "true")
    link.click()
    expect(visitor.page.get_by_role("heading", name="Keys", exact=True)).to_be_visible()
    expect(link).to_be_hidden()


def test_the_theme_can_be_chosen_and_stays(make_visitor: MakeVisitor, key: str) -> None:
    visitor = make_visitor(color_scheme="light")
    visitor.sign_in(key)
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    light = visitor.page.evaluate(paper)
    visitor.page.get_by_role("button", name="Light or dark").click()
    dark = visitor.page.evaluate(paper)
    assert dark != light
    visitor.page.reload()
    assert visitor.page.evaluate(paper) == dark
