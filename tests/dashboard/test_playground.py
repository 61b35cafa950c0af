"""The playground: what the sliders ask for is what comes back."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pyvips
from playwright.sync_api import Locator, expect

from tests import pictures
from tests.dashboard.visitor import Visitor
from tests.e2e import calls
from tests.stack import Stack


@pytest.fixture
def image_id(stack: Stack, visitor: Visitor) -> str:
    """Of a JPEG of 640 x 480, in an account whose owner looks at the playground."""
    key = stack.create_account("unlimited", "Ada")
    with calls.client(stack, key) as api:
        made: str = calls.upload(api, pictures.jpeg(640, 480))["image_id"]
    visitor.sign_in(key)
    visitor.visit("playground")
    return made


def address(visitor: Visitor) -> str:
    return visitor.page.locator(".address").inner_text()


def asked(visitor: Visitor) -> dict[str, str]:
    """The parameters in the URL that is shown."""
    return {name: value for name, [value] in parse_qs(urlsplit(address(visitor)).query).items()}


def slide(visitor: Visitor, label: str, value: int) -> None:
    visitor.page.get_by_role("slider", name=f"{label}, slider").fill(str(value))


def rendering(visitor: Visitor) -> Locator:
    return visitor.page.locator(".stage img")


def expect_size(visitor: Visitor, width: int, height: int) -> None:
    expect(rendering(visitor)).to_have_attribute("width", str(width))
    expect(rendering(visitor)).to_have_attribute("height", str(height))
    assert rendering(visitor).evaluate("(image) => [image.naturalWidth, image.naturalHeight]") == [
        width,
        height,
    ]


def test_the_sliders_change_the_picture_its_bytes_and_the_url(visitor: Visitor, image_id: str) -> None:
    expect_size(visitor, 240, 240)
    slide(visitor, "Width", 300)
    slide(visitor, "Height", 100)
    slide(visitor, "Quality", 40)
    visitor.page.get_by_role("radio", name="webp").check()
    assert asked(visitor) == {"w": "300", "h": "100", "q": "40", "f": "webp"}
    expect_size(visitor, 300, 100)
    expect(visitor.page.locator(".stage .facts")).to_contain_text("WEBP")
    visitor.settle()
    answer: Any = visitor.page.request.get(address(visitor))
    shown = visitor.page.locator("[data-bytes]").get_attribute("data-bytes")
    assert shown == answer.headers["content-length"] == str(len(answer.body()))
    assert pyvips.Image.new_from_buffer(answer.body(), "").get("vips-loader") == "webpload_buffer"


def test_a_side_left_to_the_picture_is_not_in_the_url(visitor: Visitor, image_id: str) -> None:
    slide(visitor, "Height", 0)
    slide(visitor, "Width", 320)
    assert asked(visitor) == {"w": "320"}
    expect_size(visitor, 320, 240)
    slide(visitor, "Width", 0)
    assert asked(visitor) == {}
    expect_size(visitor, 640, 480)


def test_a_number_can_be_typed_instead(visitor: Visitor, image_id: str) -> None:
    visitor.page.get_by_label("h Height").fill("")
    visitor.page.get_by_label("w Width").fill("4096")
    expect_size(visitor, 4096, 3072)
    expect(visitor.page.locator(".stage .facts")).to_contain_text("4,096 \N{MULTIPLICATION SIGN} 3,072")


def test_a_slider_follows_the_keyboard_and_says_what_it_stands_at(visitor: Visitor, image_id: str) -> None:
    slider = visitor.page.get_by_role("slider", name="Width, slider")
    slider.focus()
    visitor.page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "241 px")
    expect_size(visitor, 241, 240)


def test_a_moving_slider_asks_for_few_pictures_and_shows_the_last(visitor: Visitor, image_id: str) -> None:
    visitor.requests.clear()
    for width in range(200, 260):
        slide(visitor, "Width", width)
    expect_size(visitor, 259, 240)
    renders = [request for request in visitor.requests if f"{image_id}?" in request.url]
    assert len(renders) < 20
    assert renders[-1].url.endswith("?w=259&h=240")


def test_an_answer_that_comes_late_does_not_replace_a_newer_one(visitor: Visitor, image_id: str) -> None:
    held: list[Any] = []
    visitor.page.route(re.compile(r"\?w=500"), lambda route: held.append(route))
    slide(visitor, "Width", 500)
    visitor.page.wait_for_function(
        "() => document.querySelector('.stage').getAttribute('aria-busy') === 'true'"
    )
    visitor.page.wait_for_timeout(300)
    slide(visitor, "Width", 100)
    expect_size(visitor, 100, 240)
    for route in held:
        route.abort()
    visitor.settle()
    expect_size(visitor, 100, 240)


def test_a_refusal_is_shown_and_the_next_move_mends_it(visitor: Visitor, stack: Stack) -> None:
    key = stack.create_account("unlimited", "Ada")
    with calls.client(stack, key) as api:
        calls.upload(api, pictures.png(400, 4))
    visitor.expects = {400}
    visitor.sign_in(key)
    visitor.visit("playground")
    visitor.page.get_by_label("w Width").fill("")
    visitor.page.get_by_label("h Height").fill("4096")  # 409,600 pixels wide
    expect(visitor.page.get_by_role("alert")).to_contain_text("INVALID_PARAMETER")
    slide(visitor, "Height", 2)
    expect_size(visitor, 200, 2)
    expect(visitor.page.get_by_role("alert")).to_have_count(0)


def test_a_picture_of_the_wall_can_be_tried_at_once(visitor: Visitor, image_id: str) -> None:
    visitor.visit("images")
    visitor.page.get_by_role("link", name=f"Try sizes of {image_id}").click()
    expect(visitor.page.locator(".address")).to_contain_text(image_id)


def test_a_picture_that_is_not_there_says_so(visitor: Visitor, image_id: str) -> None:
    visitor.expects = {404}
    visitor.visit(f"playground/{calls.NOWHERE}")
    expect(visitor.page.get_by_role("alert")).to_contain_text("IMAGE_NOT_FOUND")
