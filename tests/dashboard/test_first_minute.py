"""How long the way is for somebody new: from nothing to a first served picture."""

import time
from pathlib import Path

from playwright.sync_api import expect

from tests.conftest import MakeStack
from tests.dashboard.conftest import MakeVisitor
from tests.faults.figures import figure


def test_a_new_user_comes_to_a_served_picture_in_six_steps(
    make_stack: MakeStack, make_visitor: MakeVisitor, picture: Path
) -> None:
    began = time.monotonic()
    visitor = make_visitor(stack=make_stack())
    ready = time.monotonic()
    page, steps = visitor.page, []

    steps.append("open the page")
    page.goto("/")
    steps.append("type a name")
    page.get_by_label("Name", exact=True).fill("Ada's application")
    steps.append("type an e-mail address")
    page.get_by_label("E-mail").fill("ada@example.com")
    steps.append("press “Create my account”")
    page.get_by_role("button", name="Create my account").click()
    page.locator("[data-secret]").wait_for()
    key = time.monotonic()
    steps.append("drop a picture")
    visitor.drop([picture], visitor.zone)
    uploads = page.get_by_role("list", name="Uploads")
    expect(uploads.get_by_role("img")).to_be_visible()
    visitor.settle()
    steps.append("open its URL")
    answer = page.request.get(uploads.locator(".url").inner_text())
    served = time.monotonic()

    assert answer.headers["content-type"] == "image/jpeg"
    figure("from an empty database to the first served picture", f"{len(steps)} steps: {', '.join(steps)}")
    figure("the stack is ready after", f"{ready - began:.1f} s")
    figure("then there is a key after", f"{key - ready:.1f} s, without the time to type")
    figure("and a picture from its URL after", f"{served - ready:.1f} s")
