"""What the account did, day by day, and what it may do right now."""

import re
from collections.abc import Iterator

import httpx2
import pytest
from playwright.sync_api import Locator, expect

from deploy.nginx.render import DASHBOARD
from libs import errors
from libs.errors import Problem
from tests import pictures
from tests.dashboard.visitor import Visitor
from tests.e2e import calls, dashboard
from tests.e2e.dashboard import Account, Browser
from tests.stack import Stack, wait_for

# What no account's key is refused with: before there is one, by nginx, and in a browser.
ELSEWHERE = {"INVALID_INVITE", "SIGNUP_CLOSED", "METHOD_NOT_ALLOWED", "NOT_FOUND"}
ELSEWHERE |= {"INVALID_SESSION", "INVALID_CSRF_TOKEN"}


@pytest.fixture
def account(stack: Stack) -> Account:
    return dashboard.sign_up(stack)


@pytest.fixture
def api(stack: Stack, account: Account) -> Iterator[httpx2.Client]:
    with calls.client(stack, account.key) as client:
        yield client


def chart(visitor: Visitor, title: str) -> Locator:
    return visitor.page.locator(".chart", has=visitor.page.get_by_role("heading", name=title))


def wait_until_counted(stack: Stack, account: Account, uploads: int) -> None:
    with Browser(stack, account.key) as browser:
        wait_for(lambda: browser.get("/v1/usage").json()["total"]["uploads"] == uploads)


def test_uploads_and_refusals_are_shown_by_day_and_in_all(
    visitor: Visitor, stack: Stack, account: Account, api: httpx2.Client
) -> None:
    for _ in range(3):
        calls.upload(api, pictures.png(9, 9))
    assert calls.refusal(calls.send(api)) == (400, "MISSING_USER_ID")
    wait_until_counted(stack, account, 3)
    visitor.sign_in(account.key)
    visitor.visit("usage")
    expect(chart(visitor, "Uploads")).to_contain_text("3 in all")
    expect(chart(visitor, "Refused calls")).to_contain_text("1 in all")
    expect(chart(visitor, "Uploads").locator("rect")).to_have_count(30)
    refused = visitor.page.locator(".refusals")
    expect(refused).to_contain_text("MISSING_USER_ID")
    expect(refused).to_contain_text("Add the form field")
    visitor.page.get_by_role("radio", name="7 days").check()
    expect(chart(visitor, "Uploads").locator("rect")).to_have_count(7)


def test_the_numbers_of_the_charts_are_in_a_table_too(
    visitor: Visitor, stack: Stack, account: Account, api: httpx2.Client
) -> None:
    calls.upload(api, pictures.png(9, 9))
    wait_until_counted(stack, account, 1)
    visitor.sign_in(account.key)
    visitor.visit("usage")
    visitor.page.get_by_text("The same as a table").click()
    today = visitor.page.get_by_role("row").nth(1)
    expect(today.get_by_role("cell").first).to_have_text("1")


def test_a_pointer_on_a_chart_tells_one_day(visitor: Visitor, account: Account) -> None:
    visitor.sign_in(account.key)
    visitor.visit("usage")
    uploads = chart(visitor, "Uploads")
    uploads.locator(".bars").hover()
    expect(uploads.locator(".told")).to_have_text(re.compile(r"^0 on [A-Z][a-z]+ \d+$"))
    visitor.page.get_by_role("heading", name="Right now").hover()
    expect(uploads.locator(".told")).to_have_text("0 in all")


def test_the_level_of_the_bucket_falls_with_every_call(
    visitor: Visitor, account: Account, api: httpx2.Client
) -> None:
    visitor.sign_in(account.key)
    visitor.visit("usage")
    gauge = visitor.page.locator(".gauge", has_text="Calls")
    expect(gauge).to_contain_text("20 left at this moment")
    expect(gauge).to_contain_text("The free plan: 60 a minute, 20 at once.")
    for _ in range(20):
        api.get("/v1/images")
    expect(gauge).not_to_contain_text("20 left at this moment", timeout=8000)  # it looks every 5 seconds


def test_what_the_plan_keeps_is_shown(visitor: Visitor, account: Account, api: httpx2.Client) -> None:
    calls.upload(api, pictures.png(9, 9))
    visitor.sign_in(account.key)
    visitor.visit("usage")
    expect(visitor.page.locator(".gauge", has_text="Images")).to_contain_text("1 of 1,000 kept.")


def test_a_plan_without_limits_says_so(visitor: Visitor, stack: Stack) -> None:
    visitor.sign_in(stack.create_account("unlimited"))
    visitor.visit("usage")
    expect(visitor.page.get_by_text("unlimited", exact=True)).to_have_count(2)


def test_every_refusal_that_is_counted_comes_with_what_to_do() -> None:
    codes = {each.code for each in vars(errors).values() if isinstance(each, Problem)}
    told = set(re.findall(r"^  ([A-Z_]+):", (DASHBOARD / "assets" / "reasons.js").read_text(), re.MULTILINE))
    assert told == codes - ELSEWHERE
