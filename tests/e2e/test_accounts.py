"""Signing up, and the account as its owner sees it."""

import re

import httpx2
import pytest

from services.auth.keys import is_key
from tests import pictures
from tests.e2e import calls
from tests.e2e.calls import refusal
from tests.e2e.dashboard import ADDRESS, Browser, sign_up
from tests.stack import Stack

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def test_signing_up_gives_an_account_and_a_key_that_works_on_the_next_request(
    stack: Stack, cdn: httpx2.Client
) -> None:
    answer = cdn.post("/v1/accounts", json={"email": " ada@example.com ", "name": " Ada  "})
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body.keys() == {"success", "account", "key", "api_key"}
    assert body["account"].keys() == {"id", "name", "email", "plan", "created_at"}
    assert (body["account"]["name"], body["account"]["email"]) == ("Ada", "ada@example.com")
    assert body["account"]["plan"] == "free"
    assert TIME.fullmatch(body["account"]["created_at"])
    assert is_key(body["api_key"])
    assert body["key"]["hint"] == f"up_live_…{body['api_key'][-4:]}"
    assert body["key"]["last_used_at"] is None
    with calls.client(stack, body["api_key"]) as api:
        assert calls.upload(api, pictures.jpeg())["success"] is True


def test_the_account_tells_its_plan_its_limits_and_what_is_left(stack: Stack) -> None:
    account = sign_up(stack)
    with calls.client(stack, account.key) as api:
        body = api.get("/v1/account").json()
        assert body["account"]["id"] == account.account_id
        assert body["limits"]["requests_per_minute"] == 60
        assert body["limits"]["burst"] == 20
        assert body["left"]["requests"] == 19
        assert api.get("/v1/account").json()["left"]["requests"] in {18, 19}


def test_an_unlimited_account_has_no_limits_to_tell(api: httpx2.Client) -> None:
    body = api.get("/v1/account").json()
    assert body["limits"]["requests_per_minute"] is None
    assert body["limits"]["burst"] is None
    assert body["left"]["requests"] is None


def test_an_account_can_be_renamed(stack: Stack) -> None:
    with calls.client(stack, sign_up(stack).key) as api:
        assert api.patch("/v1/account", json={"name": " Grace "}).json()["account"]["name"] == "Grace"
        assert api.get("/v1/account").json()["account"]["name"] == "Grace"


def test_a_change_of_plan_is_in_force_on_the_next_request(stack: Stack) -> None:
    account = sign_up(stack)
    with calls.client(stack, account.key) as api, Browser(stack, account.key) as browser:
        assert api.get("/v1/images").headers["x-ratelimit-limit"] == "60"
        stack.admin("set-plan", "--account", account.account_id, "--plan", "pro")
        for _ in stack.names("auth"):
            assert api.get("/v1/images").headers["x-ratelimit-limit"] == "600"
        assert browser.get("/v1/account").json()["limits"]["requests_per_minute"] == 600


WRONG = {
    "no body": (b"", "INVALID_REQUEST", "JSON"),
    "not JSON": (b"email=a@b.c", "INVALID_REQUEST", "JSON"),
    "half of it": (b'{"email": "a@b.c"', "INVALID_REQUEST", "JSON"),
    "not UTF-8": (b'{"email": "a@b.c", "name": "\xff"}', "INVALID_REQUEST", "JSON"),
    "half of a surrogate pair": (b'{"email": "a@b.c", "name": "\\ud800"}', "INVALID_REQUEST", "JSON"),
    "nested too deep": (b'{"name": ' + b"[" * 8000, "INVALID_PARAMETER", "name"),
    "an array": (b"[]", "INVALID_PARAMETER", "email, name, invite"),
    "null": (b"null", "INVALID_PARAMETER", "email, name, invite"),
    "no name": (b'{"email": "a@b.c"}', "INVALID_PARAMETER", "name"),
    "no email": (b'{"name": "a"}', "INVALID_PARAMETER", "email"),
    "a number": (b'{"email": "a@b.c", "name": 1}', "INVALID_PARAMETER", "name"),
    "an unknown field": (
        b'{"email": "a@b.c", "name": "a", "plan": "pro"}',
        "INVALID_PARAMETER",
        "email, name, invite",
    ),
    "an empty name": (b'{"email": "a@b.c", "name": " "}', "INVALID_PARAMETER", "name"),
    "a long name": (b'{"email": "a@b.c", "name": "%s"}' % (b"a" * 256), "INVALID_PARAMETER", "name"),
    "a name with a NUL": (b'{"email": "a@b.c", "name": "a\\u0000"}', "INVALID_PARAMETER", "name"),
    "no address": (b'{"email": "a.b.c", "name": "a"}', "INVALID_PARAMETER", "email"),
    "two addresses": (b'{"email": "a@b.c a@b.c", "name": "a"}', "INVALID_PARAMETER", "email"),
    "a long address": (b'{"email": "%s@b.c", "name": "a"}' % (b"a" * 255), "INVALID_PARAMETER", "email"),
    "a large body": (b'{"email": "a@b.c", "name": "%s"}' % (b"a" * 20_000), "INVALID_REQUEST", "16,384"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_body_that_is_wrong_is_refused_and_told_why(cdn: httpx2.Client, name: str) -> None:
    body, code, told = WRONG[name]
    answer = cdn.post("/v1/accounts", content=body, headers={"Content-Type": "application/json"})
    assert refusal(answer) == (400, code)
    assert told in answer.json()["error"]["details"]


def test_a_body_in_chunks_is_counted_too(cdn: httpx2.Client) -> None:
    answer = cdn.post(
        "/v1/accounts", content=calls.chunked(b" " * 20_000), headers={"Content-Type": "application/json"}
    )
    assert refusal(answer) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_json_has_to_be_named_as_such(cdn: httpx2.Client, media_type: str) -> None:
    """A form of another site can send any body, but not this type."""
    body = b'{"email": "a@b.c", "name": "a"}'
    answer = cdn.post("/v1/accounts", content=body, headers={"Content-Type": media_type})
    assert refusal(answer) == (400, "INVALID_REQUEST")
    assert "application/json" in answer.json()["error"]["details"]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/accounts", "POST"),
        ("/v1/keys", "GET, HEAD, POST"),
        ("/v1/keys/key_0000000000000000", "DELETE"),
        ("/v1/keys/key_0000000000000000/rotate", "POST"),
        ("/v1/session", "GET, HEAD, POST, DELETE"),
        ("/v1/sessions", "GET, HEAD, DELETE"),
        ("/v1/sessions/sess_0000000000000000", "DELETE"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(cdn: httpx2.Client, path: str, allowed: str) -> None:
    answer = cdn.put(path)
    assert refusal(answer) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == allowed


def test_two_accounts_may_have_one_address_and_neither_hears_of_the_other(cdn: httpx2.Client) -> None:
    first, second = (cdn.post("/v1/accounts", json=ADDRESS) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.headers.keys() == second.headers.keys()
    told = [answer.json() for answer in (first, second)]
    assert told[0].keys() == told[1].keys()
    assert told[0]["account"]["id"] != told[1]["account"]["id"]
    same = [{**body["account"], "id": None, "created_at": None, "key": body["key"].keys()} for body in told]
    assert same[0] == same[1]
