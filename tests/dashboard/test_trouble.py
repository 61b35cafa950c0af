"""What somebody sees when things break."""

import re

from playwright.sync_api import Route, expect

from tests.dashboard.visitor import Visitor
from tests.e2e import dashboard
from tests.stack import Stack

LOST = re.compile(r"Failed to load resource: net::ERR_")


def without_lost_connections(visitor: Visitor) -> list[str]:
    return [text for text in visitor.complaints if not LOST.match(text)]


def test_offline_is_said_and_the_page_goes_on_when_the_line_is_back(visitor: Visitor, stack: Stack) -> None:
    visitor.sign_in(dashboard.sign_up(stack).key)
    visitor.context.set_offline(True)
    expect(visitor.page.get_by_text("You are offline. What you see may be old.")).to_be_visible()
    visitor.page.get_by_role("link", name="Keys").click()
    expect(visitor.page.get_by_role("alert")).to_contain_text("You are offline")
    visitor.context.set_offline(False)
    visitor.page.get_by_role("button", name="Try again").click()
    expect(visitor.page.get_by_role("row", name="first")).to_be_visible()
    visitor.complaints = without_lost_connections(visitor)


def test_an_api_that_does_not_answer_is_said(visitor: Visitor, stack: Stack) -> None:
    visitor.sign_in(dashboard.sign_up(stack).key)
    visitor.page.route("**/v1/**", lambda route: route.abort())
    visitor.page.get_by_role("link", name="Images").click()
    expect(visitor.page.get_by_role("alert")).to_contain_text("The service does not answer")
    visitor.page.reload()
    expect(visitor.page.get_by_role("alert")).to_contain_text("The service does not answer")
    visitor.page.unroute("**/v1/**")
    visitor.page.get_by_role("button", name="Try again").click()
    expect(visitor.page.get_by_role("heading", name="No picture yet")).to_be_visible()
    visitor.complaints = without_lost_connections(visitor)


def test_a_service_that_is_down_counts_down_to_the_next_try(visitor: Visitor, stack: Stack) -> None:
    visitor.expects = {503}
    visitor.sign_in(dashboard.sign_up(stack).key)

    def down(route: Route) -> None:
        route.fulfill(
            status=503,
            headers={"Content-Type": "application/json", "Retry-After": "1", "X-Request-Id": "a-request"},
            body='{"success":false,"error":{"code":"SERVICE_UNAVAILABLE","message":"Down","details":"Wait"}}',
        )

    visitor.page.route("**/v1/keys", down)
    visitor.page.get_by_role("link", name="Keys").click()
    alert = visitor.page.get_by_role("alert")
    expect(alert).to_contain_text("SERVICE_UNAVAILABLE · request a-request")
    expect(alert.get_by_role("button", name="Try again")).to_be_disabled()
    expect(alert).to_contain_text("You can try again now.")
    visitor.page.unroute("**/v1/keys", down)
    alert.get_by_role("button", name="Try again").click()
    expect(visitor.page.get_by_role("row", name="first")).to_be_visible()


def test_a_browser_that_does_not_keep_the_cookie_is_told_why(visitor: Visitor, stack: Stack) -> None:
    key = dashboard.sign_up(stack).key
    visitor.expects = {401}

    def without_cookie(route: Route) -> None:
        answer = route.fetch()
        headers = {name: value for name, value in answer.headers.items() if name != "set-cookie"}
        visitor.context.clear_cookies()  # fetch kept it
        route.fulfill(response=answer, headers=headers)

    visitor.page.route("**/v1/session", without_cookie)
    visitor.page.goto("/")
    visitor.page.get_by_role("button", name="Sign in with it").click()
    visitor.give_key(key)
    expect(visitor.page.get_by_role("alert")).to_contain_text("Your browser did not keep the session")
    visitor.page.unroute_all()
