"""The wall of pictures: searched, paged through, copied from, deleted."""

import httpx2
import pytest
from playwright.sync_api import Locator, expect

from tests import pictures
from tests.dashboard.visitor import Visitor
from tests.e2e import calls
from tests.stack import Stack


@pytest.fixture
def key(stack: Stack) -> str:
    return stack.create_account("unlimited", "Ada")


def upload(stack: Stack, key: str, *user_ids: str) -> list[str]:
    """One picture for each; gives their ids, oldest first."""
    with calls.client(stack, key) as api:
        return [calls.upload(api, pictures.png(16, 16), user_id)["image_id"] for user_id in user_ids]


def status(stack: Stack, image_id: str) -> int:
    with calls.client(stack) as cdn:
        answer: httpx2.Response = cdn.get(f"/{image_id}")
        return answer.status_code


def tiles(visitor: Visitor) -> Locator:
    return visitor.page.locator(".tile")


def test_an_account_without_pictures_is_told_where_to_begin(visitor: Visitor, key: str) -> None:
    visitor.sign_in(key)
    visitor.visit("images")
    expect(visitor.page.get_by_role("heading", name="No picture yet")).to_be_visible()


def test_pictures_are_found_by_the_exact_user_id(visitor: Visitor, stack: Stack, key: str) -> None:
    upload(stack, key, "ada", "ada/lovelace", "grace")
    visitor.sign_in(key)
    visitor.visit("images")
    expect(tiles(visitor)).to_have_count(3)
    visitor.page.get_by_label("User id").fill("ada/lovelace")
    visitor.page.keyboard.press("Enter")
    expect(tiles(visitor)).to_have_count(1)
    expect(tiles(visitor)).to_contain_text("ada/lovelace")
    visitor.page.get_by_label("User id").fill("nobody")
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.get_by_role("heading", name="No picture of that user")).to_be_visible()


def test_older_pictures_come_page_by_page_and_the_focus_goes_to_the_first_of_them(
    visitor: Visitor, stack: Stack, key: str
) -> None:
    ids = upload(stack, key, *(str(number) for number in range(27)))
    visitor.sign_in(key)
    visitor.visit("images")
    expect(tiles(visitor)).to_have_count(24)
    visitor.page.get_by_role("button", name="Show older pictures").click()
    expect(tiles(visitor)).to_have_count(27)
    expect(tiles(visitor).nth(24).get_by_role("link").first).to_be_focused()
    expect(visitor.page.get_by_role("button", name="Show older pictures")).to_have_count(0)
    shown = [tile.get_by_role("link").first.get_attribute("href") or "" for tile in tiles(visitor).all()]
    assert [url.rpartition("/")[2] for url in shown] == ids[::-1]


def test_a_deleted_picture_leaves_the_wall_and_its_url(visitor: Visitor, stack: Stack, key: str) -> None:
    kept, doomed = upload(stack, key, "kept", "doomed")
    visitor.sign_in(key)
    visitor.visit("images")
    visitor.page.get_by_role("button", name=f"Delete {doomed}").click()
    expect(visitor.dialog).to_contain_text("user doomed")
    visitor.dialog.get_by_role("button", name="Delete it").click()
    expect(tiles(visitor)).to_have_count(1)
    expect(tiles(visitor).get_by_role("link").first).to_be_focused()
    assert (status(stack, doomed), status(stack, kept)) == (404, 200)


def test_nothing_is_deleted_before_it_is_confirmed(visitor: Visitor, stack: Stack, key: str) -> None:
    [image_id] = upload(stack, key, "12345")
    visitor.sign_in(key)
    visitor.visit("images")
    button = visitor.page.get_by_role("button", name=f"Delete {image_id}")
    button.click()
    expect(visitor.dialog.get_by_role("button", name="Cancel")).to_be_focused()
    visitor.page.keyboard.press("Escape")
    expect(visitor.dialog).to_have_count(0)
    expect(button).to_be_focused()
    assert status(stack, image_id) == 200


def test_all_pictures_of_a_user_can_go_at_once(visitor: Visitor, stack: Stack, key: str) -> None:
    kept, *doomed = upload(stack, key, "grace", "ada/é ?#", "ada/é ?#")
    visitor.sign_in(key)
    visitor.visit("images")
    visitor.page.get_by_label("User id").fill("ada/é ?#")
    visitor.page.keyboard.press("Enter")
    expect(tiles(visitor)).to_have_count(2)
    visitor.page.get_by_role("button", name="Delete all of them").click()
    visitor.dialog.get_by_role("button", name="Delete all of them").click()
    expect(visitor.page.get_by_role("heading", name="No picture of that user")).to_be_visible()
    assert [status(stack, image_id) for image_id in (kept, *doomed)] == [200, 404, 404]


def test_the_url_of_a_picture_is_copied(visitor: Visitor, stack: Stack, key: str) -> None:
    [image_id] = upload(stack, key, "12345")
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.sign_in(key)
    visitor.visit("images")
    visitor.page.get_by_role("button", name=f"Copy URL the URL of {image_id}").click()
    expect(visitor.page.get_by_text("Copied", exact=True)).to_be_visible()
    assert visitor.page.evaluate("navigator.clipboard.readText()") == f"{stack.base_url}/{image_id}"


def test_where_the_clipboard_is_out_of_reach_the_url_is_copied_by_selecting_it(
    visitor: Visitor, stack: Stack, key: str
) -> None:
    [image_id] = upload(stack, key, "12345")
    visitor.context.add_init_script(
        "delete Navigator.prototype.clipboard"
    )  # as on plain http in a local network
    visitor.sign_in(key)
    visitor.visit("images")
    visitor.page.get_by_role("button", name=f"Copy URL the URL of {image_id}").click()
    expect(visitor.page.get_by_text("Copied", exact=True)).to_be_visible()
    visitor.page.get_by_label("User id").focus()
    visitor.page.keyboard.press("Control+V")
    expect(visitor.page.get_by_label("User id")).to_have_value(f"{stack.base_url}/{image_id}")


def test_a_picture_that_was_deleted_meanwhile_says_so(visitor: Visitor, stack: Stack, key: str) -> None:
    [image_id] = upload(stack, key, "12345")
    visitor.expects = {404}
    visitor.sign_in(key)
    visitor.visit("images")
    with calls.client(stack, key) as api:
        assert api.delete(f"/v1/images/{image_id}").status_code == 200
    visitor.page.get_by_role("button", name=f"Delete {image_id}").click()
    visitor.dialog.get_by_role("button", name="Delete it").click()
    expect(visitor.dialog.get_by_role("alert")).to_contain_text("does not exist or has been deleted")
