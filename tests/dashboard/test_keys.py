"""Keys: made, shown once, rotated with a grace, revoked."""

import pytest
from playwright.sync_api import expect

from tests.dashboard.visitor import Visitor
from tests.e2e import calls, dashboard
from tests.e2e.dashboard import Account
from tests.stack import Stack


@pytest.fixture
def account(visitor: Visitor, stack: Stack) -> Account:
    """Signed up and signed in, and looking at its keys."""
    made = dashboard.sign_up(stack)
    visitor.sign_in(made.key)
    visitor.visit("keys")
    return made


def status(stack: Stack, key: str) -> int:
    with calls.client(stack, key) as api:
        return api.get("/v1/images").status_code


def test_a_key_is_made_shown_once_and_works(visitor: Visitor, stack: Stack, account: Account) -> None:
    visitor.page.get_by_label("Name").fill("production")
    visitor.page.get_by_label("Expires").select_option("In 30 days")
    visitor.page.get_by_role("button", name="Make a key").click()
    key = visitor.fresh_key()
    expect(visitor.page.get_by_role("heading", name="Your API key, this once")).to_be_focused()
    row = visitor.page.get_by_role("row", name="production")
    expect(row).to_contain_text(key[-4:])
    expect(row).to_contain_text("in 30 days")
    assert status(stack, key) == 200
    visitor.page.reload()
    visitor.settle()
    assert key not in visitor.page.content()


def test_a_key_without_a_name_is_not_made(visitor: Visitor, account: Account) -> None:
    visitor.page.get_by_role("button", name="Make a key").click()
    expect(visitor.page.get_by_text("Give it a name.")).to_be_visible()
    expect(visitor.page.get_by_label("Name")).to_be_focused()


def test_a_rotated_key_is_valid_for_its_grace(visitor: Visitor, stack: Stack, account: Account) -> None:
    visitor.page.get_by_role("button", name="Rotate").click()
    visitor.dialog.get_by_label("The old key ends").select_option("In an hour")
    visitor.dialog.get_by_role("button", name="Rotate it").click()
    key = visitor.fresh_key()
    assert (status(stack, key), status(stack, account.key)) == (200, 200)
    rows = visitor.page.get_by_role("table").locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text=account.key[-4:])).to_contain_text("in 1 hour")


def test_who_rotates_the_key_of_the_session_without_a_grace_sees_the_new_one_and_stays(
    visitor: Visitor, stack: Stack, account: Account
) -> None:
    visitor.expects = {401}
    visitor.page.get_by_role("button", name="Rotate").click()
    visitor.dialog.get_by_label("The old key ends").select_option("At once")
    visitor.dialog.get_by_role("button", name="Rotate it").click()
    key = visitor.fresh_key()
    assert (status(stack, key), status(stack, account.key)) == (200, 401)
    expect(visitor.page.get_by_role("table").locator("tbody tr")).to_have_count(1)


def test_a_revoked_key_is_refused_at_once(visitor: Visitor, stack: Stack, account: Account) -> None:
    visitor.expects = {401}
    visitor.page.get_by_role("button", name="Revoke").click()
    visitor.dialog.get_by_role("button", name="Revoke it").click()
    expect(visitor.page.get_by_text("Your session is over")).to_be_visible()  # it came with this key
    assert status(stack, account.key) == 401


def test_the_last_use_of_a_key_is_shown(visitor: Visitor, account: Account) -> None:
    expect(visitor.page.get_by_role("row", name=account.key[-4:])).to_contain_text("just now")
