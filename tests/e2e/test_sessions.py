"""Signing in with a key, and what a session may do."""

import httpx2
import pytest

from services.auth.keys import new_key
from tests import pictures
from tests.e2e import calls
from tests.e2e.calls import refusal
from tests.e2e.dashboard import Browser, sign_up
from tests.stack import Stack


def ended(browser: Browser, stack: Stack) -> bool:
    """On every process of auth."""
    answers = [browser.get("/v1/account") for _ in stack.names("auth")]
    if answers[0].status_code == 200:
        assert {answer.status_code for answer in answers} == {200}
        return False
    assert {refusal(answer) for answer in answers} == {(401, "INVALID_SESSION")}
    return True


def test_a_key_is_exchanged_for_a_session(stack: Stack) -> None:
    account = sign_up(stack)
    with Browser(stack, account.key, "Firefox") as browser:
        told = browser.signed_in.json()
        assert told.keys() == {"success", "account", "session", "csrf_token"}
        assert told["account"]["id"] == account.account_id
        assert told["session"]["current"] is True
        assert told["session"]["user_agent"] == "Firefox"
        again = browser.get("/v1/session").json()
        assert again["csrf_token"] == told["csrf_token"]
        assert again["session"]["id"] == told["session"]["id"]
        assert browser.get("/v1/keys").json()["keys"][0]["id"] == account.key_id


def test_the_cookie_is_for_this_host_over_https_and_out_of_reach_of_scripts(stack: Stack) -> None:
    with Browser(stack, sign_up(stack).key) as browser:
        cookie = browser.signed_in.headers["set-cookie"]
        assert browser.signed_in.headers["cache-control"] == "no-store"
    name, _, attributes = cookie.partition("; ")
    assert name == f"__Host-session={browser.token}"
    assert {each.lower() for each in attributes.split("; ")} == {
        "httponly",
        "secure",
        "samesite=strict",
        "path=/",
        "max-age=2592000",
    }
    assert browser.token not in browser.signed_in.text


def test_a_session_uploads_lists_and_deletes(stack: Stack) -> None:
    with Browser(stack, sign_up(stack).key) as browser:
        made = browser.post("/v1/upload", data={"user_id": "1"}, files={"image": pictures.jpeg()})
        image_id = made.json()["image_id"]
        assert [image["image_id"] for image in browser.get("/v1/images").json()["images"]] == [image_id]
        assert browser.delete(f"/v1/images/{image_id}").status_code == 200


def test_looking_costs_an_application_nothing_and_an_upload_what_it_costs(stack: Stack) -> None:
    account = sign_up(stack)
    with Browser(stack, account.key) as browser:
        for _ in range(5):
            answer = browser.get("/v1/account")
            assert answer.headers["ratelimit-policy"] == '"dashboard";q=600;w=60'
        assert answer.json()["left"]["requests"] == 20
        made = browser.post("/v1/upload", data={"user_id": "1"}, files={"image": pictures.jpeg()})
        assert made.headers["ratelimit-policy"] == '"free";q=60;w=60'
        assert made.headers["x-ratelimit-remaining"] == "19"
        made = browser.post("/v1/%75pload", data={"user_id": "1"}, files={"image": pictures.jpeg()})
        assert made.headers["ratelimit-policy"] == '"free";q=60;w=60'


def test_a_dashboard_that_is_too_busy_is_told_so(stack: Stack) -> None:
    account = sign_up(stack)
    with Browser(stack, account.key) as browser, calls.client(stack, account.key) as api:
        answer = browser.get("/v1/account")
        while answer.status_code == 200:
            answer = browser.get("/v1/account")
        assert refusal(answer) == (429, "RATE_LIMIT_EXCEEDED")
        assert answer.json()["error"]["details"].startswith("The dashboard allows 600 requests a minute")
        assert int(answer.headers["retry-after"]) >= 1
        assert api.get("/v1/account").status_code == 200


@pytest.mark.parametrize("key", ["", "x", new_key(), "a" * 5000])
def test_who_has_no_key_is_not_signed_in(cdn: httpx2.Client, key: str) -> None:
    answer = cdn.post("/v1/session", json={"api_key": key})
    assert refusal(answer) == (401, "INVALID_API_KEY")


def test_a_suspended_account_neither_signs_in_nor_stays_signed_in(stack: Stack, cdn: httpx2.Client) -> None:
    account = sign_up(stack)
    with Browser(stack, account.key) as browser:
        stack.admin("suspend-account", "--account", account.account_id)
        assert refusal(browser.get("/v1/account")) == (403, "ACCOUNT_SUSPENDED")
        answer = cdn.post("/v1/session", json={"api_key": account.key})
        assert refusal(answer) == (403, "ACCOUNT_SUSPENDED")


def test_sessions_are_listed_newest_first_and_ended_one_by_one(stack: Stack) -> None:
    account = sign_up(stack)
    with Browser(stack, account.key, "one") as one, Browser(stack, account.key, "two") as two:
        listed = one.get("/v1/sessions").json()["sessions"]
        assert [(each["user_agent"], each["current"]) for each in listed] == [("two", False), ("one", True)]
        assert listed[0].keys() == {
            "id",
            "created_at",
            "last_used_at",
            "expires_at",
            "user_agent",
            "current",
        }
        answer = one.delete(f"/v1/sessions/{two.session_id}")
        assert answer.json() == {"success": True, "session_id": two.session_id}
        assert "set-cookie" not in answer.headers
        assert ended(two, stack)
        assert not ended(one, stack)
        assert refusal(one.delete(f"/v1/sessions/{two.session_id}")) == (404, "SESSION_NOT_FOUND")


def test_signing_out_everywhere_ends_every_session_of_the_account_and_no_other(stack: Stack) -> None:
    account, other = sign_up(stack), sign_up(stack)
    with (
        Browser(stack, account.key) as one,
        Browser(stack, account.key) as two,
        Browser(stack, other.key) as stranger,
    ):
        answer = one.delete("/v1/sessions")
        assert set(answer.json()["session_ids"]) == {one.session_id, two.session_id}
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert ended(one, stack)
        assert ended(two, stack)
        assert not ended(stranger, stack)
    with calls.client(stack, account.key) as api:
        assert api.get("/v1/sessions").json()["sessions"] == []


def test_a_session_of_another_account_is_as_one_that_does_not_exist(stack: Stack, api: httpx2.Client) -> None:
    with Browser(stack, sign_up(stack).key) as stranger:
        for session_id in (stranger.session_id, "sess_0000000000000000", "x"):
            assert refusal(api.delete(f"/v1/sessions/{session_id}")) == (404, "SESSION_NOT_FOUND")
        assert not ended(stranger, stack)


def test_a_session_ends_with_its_key_however_that_ends(stack: Stack) -> None:
    account = sign_up(stack)
    with calls.client(stack, account.key) as api:
        for end in ("revoke", "rotate", "admin"):
            made = api.post("/v1/keys", json={"name": end}).json()
            key_id = made["key"]["id"]
            with Browser(stack, made["api_key"]) as browser:
                assert not ended(browser, stack)
                if end == "revoke":
                    api.delete(f"/v1/keys/{key_id}")
                elif end == "rotate":
                    api.post(f"/v1/keys/{key_id}/rotate", json={"grace_seconds": 0})
                else:
                    stack.admin("revoke-key", "--key", key_id)
                assert ended(browser, stack)
        assert api.get("/v1/sessions").json()["sessions"] == []


def test_a_caller_with_a_key_has_no_session_of_its_own(api: httpx2.Client) -> None:
    assert refusal(api.get("/v1/session")) == (401, "INVALID_SESSION")
    assert refusal(api.delete("/v1/session")) == (401, "INVALID_SESSION")


def test_where_a_key_is_sent_it_alone_counts(stack: Stack) -> None:
    account = sign_up(stack)
    with Browser(stack, account.key) as browser:
        for header in ("Bearer x", "Basic dTpw", f"Bearer {new_key()}"):
            answer = browser.request("GET", "/v1/account", headers={"Authorization": header})
            assert refusal(answer) == (401, "INVALID_API_KEY")
        headers = {"Authorization": f"Bearer {account.key}"}
        made = browser.request("POST", "/v1/keys", None, headers=headers, json={"name": "a"})
        assert made.status_code == 201
