"""Signing in, being signed out, and what a browser is left with."""

import httpx2
from playwright.sync_api import expect

from services.auth.sessions import COOKIE
from tests.dashboard.conftest import MakeVisitor
from tests.dashboard.visitor import Visitor
from tests.e2e import calls, dashboard
from tests.e2e.calls import Served
from tests.stack import Stack


def with_cookie(stack: Served, cookie: str) -> httpx2.Response:
    """What a cookie opens, from outside any browser."""
    with calls.client(stack, Cookie=f"{COOKIE}={cookie}") as thief:
        return thief.get("/v1/account")


def test_a_key_signs_in_and_the_session_outlives_the_page(visitor: Visitor, stack: Stack) -> None:
    visitor.sign_in(dashboard.sign_up(stack, name="Grace").key)
    visitor.page.reload()
    expect(visitor.page.get_by_role("heading", name="Hello, Grace")).to_be_visible()


def test_a_wrong_key_is_refused_beside_its_field(visitor: Visitor) -> None:
    visitor.expects = {401}
    visitor.page.goto("/")
    visitor.page.get_by_role("button", name="Sign in with it").click()
    visitor.give_key("up_live_wrong")
    field = visitor.page.get_by_label("API key")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(visitor.page.get_by_text("This key is unknown, revoked or expired")).to_be_visible()
    expect(field).to_be_focused()


def test_scripts_cannot_read_the_session(visitor: Visitor, stack: Stack) -> None:
    visitor.sign_in(dashboard.sign_up(stack).key)
    [cookie] = visitor.context.cookies()
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Strict")
    assert visitor.page.evaluate("document.cookie") == ""


def test_signing_out_ends_the_session_also_for_who_copied_its_cookie(visitor: Visitor, stack: Stack) -> None:
    visitor.sign_in(dashboard.sign_up(stack).key)
    cookie = visitor.cookie()
    assert with_cookie(stack, cookie).status_code == 200
    visitor.page.get_by_role("button", name="Sign out").click()
    expect(visitor.page.get_by_text("You are signed out.")).to_be_visible()
    assert with_cookie(stack, cookie).status_code == 401
    visitor.page.reload()
    expect(visitor.page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_key_revoked_in_one_window_is_refused_in_another(
    make_visitor: MakeVisitor, visitor: Visitor, stack: Stack
) -> None:
    account = dashboard.sign_up(stack)
    with dashboard.Browser(stack, account.key) as owner:
        spare = owner.post("/v1/keys", json={"name": "spare"}).json()["api_key"]
    other = make_visitor()
    other.expects = {401}
    other.sign_in(spare)
    visitor.sign_in(account.key)
    visitor.visit("keys")
    visitor.page.get_by_role("button", name="Revoke spare").click()
    visitor.dialog.get_by_role("button", name="Revoke it").click()
    expect(visitor.page.get_by_role("row", name="spare")).to_have_count(0)
    other.page.get_by_role("link", name="Images").click()
    expect(other.page.get_by_text("Your session is over")).to_be_visible()
    other.give_key(spare)
    expect(other.page.get_by_text("This key is unknown, revoked or expired")).to_be_visible()


def test_signing_out_everywhere_ends_the_other_windows_too(
    make_visitor: MakeVisitor, visitor: Visitor, stack: Stack
) -> None:
    key = dashboard.sign_up(stack).key
    other = make_visitor()
    other.expects = {401}
    other.sign_in(key)
    visitor.sign_in(key)
    visitor.visit("settings")
    visitor.page.get_by_role("button", name="Sign out everywhere").click()
    visitor.dialog.get_by_role("button", name="Sign out everywhere").click()
    expect(visitor.page.get_by_text("You are signed out everywhere.")).to_be_visible()
    other.page.get_by_role("link", name="Keys").click()
    expect(other.page.get_by_text("Your session is over")).to_be_visible()
    other.give_key(key)  # keys stay valid
    expect(other.page.get_by_role("heading", name="Keys", exact=True)).to_be_visible()


def test_one_session_can_be_ended_from_another(
    make_visitor: MakeVisitor, visitor: Visitor, stack: Stack
) -> None:
    key = dashboard.sign_up(stack).key
    other = make_visitor()
    other.sign_in(key)
    cookie = other.cookie()
    visitor.sign_in(key)
    visitor.visit("settings")
    visitor.page.get_by_role("button", name="Sign out Chrome").click()
    expect(visitor.page.get_by_role("button", name="Sign out Chrome")).to_have_count(0)
    assert with_cookie(stack, cookie).status_code == 401
    assert with_cookie(stack, visitor.cookie()).status_code == 200
    other.expects = {401}


def test_another_sign_in_in_the_same_browser_costs_the_first_window_no_write(
    visitor: Visitor, stack: Stack
) -> None:
    key = dashboard.sign_up(stack, name="Before").key
    visitor.expects = {403}  # the first window's token belongs to the session before
    visitor.sign_in(key)
    visitor.visit("settings")
    second = visitor.context.new_page()
    second.goto("/")
    second.evaluate(
        """(api_key) => fetch("/v1/session", {method: "POST", body: JSON.stringify({api_key}),
        headers: {"Content-Type": "application/json"}})""",
        key,
    )
    visitor.page.get_by_label("Name", exact=True).fill("After")
    visitor.page.get_by_role("button", name="Save the name").click()
    expect(visitor.page.get_by_text("Saved")).to_be_visible()
