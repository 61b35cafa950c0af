"""The account's name and its end."""

import json

import pytest
from playwright.sync_api import expect

from tests import pictures
from tests.dashboard.visitor import Visitor
from tests.e2e import calls, dashboard
from tests.e2e.dashboard import Account
from tests.stack import Stack


@pytest.fixture
def account(visitor: Visitor, stack: Stack) -> Account:
    """Signed up and signed in, and looking at its settings."""
    made = dashboard.sign_up(stack, name="Before")
    visitor.sign_in(made.key)
    visitor.visit("settings")
    return made


def test_the_account_can_be_renamed(visitor: Visitor, account: Account) -> None:
    visitor.page.get_by_label("Name", exact=True).fill("After")
    visitor.page.get_by_role("button", name="Save the name").click()
    expect(visitor.page.locator(".who .name")).to_have_text("After")
    visitor.page.reload()
    expect(visitor.page.get_by_label("Name", exact=True)).to_have_value("After")


def test_a_name_that_the_api_refuses_is_told(visitor: Visitor, account: Account) -> None:
    visitor.expects = {400}
    visitor.page.get_by_label("Name", exact=True).evaluate("(field) => (field.value = 'a\\u0007b')")
    visitor.page.get_by_role("button", name="Save the name").click()
    expect(visitor.page.get_by_role("alert")).to_contain_text("INVALID_PARAMETER")


def test_the_account_is_not_deleted_without_its_id(visitor: Visitor, stack: Stack, account: Account) -> None:
    visitor.page.get_by_role("button", name="Delete the account").click()
    visitor.dialog.get_by_label("Type the account").fill("acct_of_somebody_else")
    visitor.dialog.get_by_role("button", name="Delete it for good").click()
    expect(visitor.dialog).to_contain_text("This is not the account")
    with calls.client(stack, account.key) as api:
        assert api.get("/v1/images").status_code == 200


def test_the_account_goes_with_everything_in_it_and_a_receipt(
    visitor: Visitor, stack: Stack, account: Account
) -> None:
    with calls.client(stack, account.key) as api:
        image_id = calls.upload(api, pictures.png(9, 9))["image_id"]
    visitor.page.get_by_role("button", name="Delete the account").click()
    visitor.dialog.get_by_label("Type the account").fill(account.account_id)
    visitor.dialog.get_by_role("button", name="Delete it for good").click()
    expect(visitor.page.get_by_role("heading", name="The account is deleted")).to_be_focused()
    with visitor.page.expect_download() as saving:
        visitor.page.get_by_role("link", name="Save the receipt").click()
    receipt = json.loads(saving.value.path().read_text())
    assert (receipt["account_id"], receipt["images"], receipt["keys"]) == (account.account_id, 1, 1)
    with calls.client(stack, account.key) as api:
        assert calls.refusal(api.get("/v1/images")) == (401, "INVALID_API_KEY")
        assert api.get(f"/{image_id}").status_code == 404
    visitor.page.get_by_role("link", name="Back to the beginning").click()
    expect(visitor.page.get_by_role("heading", name="Create an account")).to_be_visible()
