"""The keys of an account as its owner manages them."""

import time
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from services.auth.keyring import MAX_KEYS
from services.auth.keys import is_key
from tests.e2e import calls
from tests.e2e.calls import refusal
from tests.e2e.dashboard import Browser, sign_up
from tests.stack import Stack

NOBODYS = "key_0000000000000000"


def works(stack: Stack, key: str) -> bool:
    """On every process of auth."""
    with calls.client(stack, key) as api:
        statuses = {api.get("/v1/account").status_code for _ in stack.names("auth")}
    assert statuses in ({200}, {401})
    return statuses == {200}


def test_a_new_key_works_at_once_and_is_shown_once(stack: Stack) -> None:
    account = sign_up(stack)
    with calls.client(stack, account.key) as api:
        made = api.post("/v1/keys", json={"name": " the second "})
        assert made.status_code == 201
        assert made.headers["cache-control"] == "no-store"
        body = made.json()
        assert is_key(body["api_key"])
        assert works(stack, body["api_key"])
        listed = api.get("/v1/keys")
    assert [key["name"] for key in listed.json()["keys"]] == ["first", "the second"]
    assert listed.json()["keys"][1]["hint"] == f"up_live_…{body['api_key'][-4:]}"
    assert body["api_key"] not in listed.text
    assert account.key not in listed.text


def test_a_revoked_key_is_refused_on_the_next_request_of_every_process(stack: Stack) -> None:
    account = sign_up(stack)
    with calls.client(stack, account.key) as api:
        made = api.post("/v1/keys", json={"name": "second"}).json()
        assert works(stack, made["api_key"])
        assert api.delete(f"/v1/keys/{made['key']['id']}").json() == {
            "success": True,
            "key_id": made["key"]["id"],
        }
        assert not works(stack, made["api_key"])
        assert [key["id"] for key in api.get("/v1/keys").json()["keys"]] == [account.key_id]
        assert refusal(api.delete(f"/v1/keys/{made['key']['id']}")) == (404, "KEY_NOT_FOUND")


def test_a_key_may_revoke_itself(stack: Stack) -> None:
    account = sign_up(stack)
    with calls.client(stack, account.key) as api:
        assert api.delete(f"/v1/keys/{account.key_id}").status_code == 200
    assert not works(stack, account.key)


def test_both_keys_are_valid_until_the_grace_ends(stack: Stack) -> None:
    account = sign_up(stack)
    with calls.client(stack, account.key) as api:
        body = api.post(f"/v1/keys/{account.key_id}/rotate", json={"grace_seconds": 3}).json()
    ends = datetime.fromisoformat(body["old"]["expires_at"])
    assert body["old"]["id"] == account.key_id
    assert body["key"]["name"] == "first"
    assert body["key"]["expires_at"] is None
    assert works(stack, account.key)
    assert works(stack, body["api_key"])
    time.sleep(max(0, (ends - datetime.now(UTC)).total_seconds()) + 1.1)
    assert not works(stack, account.key)
    assert works(stack, body["api_key"])


def test_without_grace_the_old_key_ends_at_once(stack: Stack) -> None:
    account = sign_up(stack)
    with calls.client(stack, account.key) as api:
        body = api.post(f"/v1/keys/{account.key_id}/rotate", json={"grace_seconds": 0}).json()
    assert not works(stack, account.key)
    assert works(stack, body["api_key"])


def test_a_rotation_never_makes_an_old_key_live_longer(stack: Stack) -> None:
    account = sign_up(stack)
    soon = datetime.now(UTC) + timedelta(hours=1)
    with calls.client(stack, account.key) as api:
        made = api.post("/v1/keys", json={"name": "short", "expires_at": soon.isoformat()}).json()
        body = api.post(f"/v1/keys/{made['key']['id']}/rotate", json={"grace_seconds": 604_800}).json()
    assert body["old"]["expires_at"] == made["key"]["expires_at"]
    lifetime = datetime.fromisoformat(body["key"]["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=58) < lifetime <= timedelta(hours=1)


def test_a_key_ends_when_it_said(stack: Stack) -> None:
    account = sign_up(stack)
    ends = datetime.now(UTC) + timedelta(seconds=2)
    with calls.client(stack, account.key) as api:
        body = api.post("/v1/keys", json={"name": "short", "expires_at": ends.isoformat()}).json()
        with Browser(stack, body["api_key"]) as browser:
            assert works(stack, body["api_key"])
            time.sleep(2.1)
            assert not works(stack, body["api_key"])
            assert refusal(browser.get("/v1/session")) == (401, "INVALID_SESSION")
        assert [key["name"] for key in api.get("/v1/keys").json()["keys"]] == ["first", "short"]
        again = api.post(f"/v1/keys/{body['key']['id']}/rotate", json={"grace_seconds": 60})
        assert refusal(again) == (404, "KEY_NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a", "expires_at": "2001-01-01T00:00:00Z"}, "future"),
        ({"name": "a", "expires_at": "9999-12-31T23:59:59-12:00"}, "100 years"),
        ({"name": "a", "expires_at": "2999-01-01T00:00:00"}, "expires_at"),
        ({"name": "a", "expires_at": "tomorrow"}, "expires_at"),
        ({"name": "a", "expires_at": 2_000_000_000}, "expires_at"),
        ({"name": "a", "plan": "pro"}, "name, expires_at"),
    ],
)
def test_a_key_that_cannot_be_is_told_why(api: httpx2.Client, body: dict[str, object], told: str) -> None:
    answer = api.post("/v1/keys", json=body)
    assert refusal(answer) == (400, "INVALID_PARAMETER")
    assert told in answer.json()["error"]["details"]


@pytest.mark.parametrize("grace", [-1, 604_801, 1.5, "60", None, True])
def test_a_grace_is_0_to_7_days(api: httpx2.Client, grace: object) -> None:
    answer = api.post(f"/v1/keys/{NOBODYS}/rotate", json={"grace_seconds": grace})
    assert refusal(answer) == (400, "INVALID_PARAMETER")
    assert "grace_seconds" in answer.json()["error"]["details"]


@pytest.mark.parametrize("key_id", [NOBODYS, "x", "key_", "%00", "a%2Fb", "\N{SNOWMAN}", "key_" + "0" * 3000])
def test_a_key_that_is_none_is_not_found(api: httpx2.Client, key_id: str) -> None:
    answer = api.delete(f"/v1/keys/{key_id}")
    assert refusal(answer)[0] in ((400, 404) if "%" in key_id else (404,))
    assert key_id == "%00" or answer.json()["error"]["code"] in ("KEY_NOT_FOUND", "NOT_FOUND")


def test_a_key_of_another_account_is_as_one_that_does_not_exist(stack: Stack, api: httpx2.Client) -> None:
    other = sign_up(stack)
    mine, none = (api.delete(f"/v1/keys/{key_id}") for key_id in (other.key_id, NOBODYS))
    assert refusal(mine) == refusal(none) == (404, "KEY_NOT_FOUND")
    rotated = api.post(f"/v1/keys/{other.key_id}/rotate", json={"grace_seconds": 0})
    assert refusal(rotated) == (404, "KEY_NOT_FOUND")
    assert works(stack, other.key)


def test_an_account_has_at_most_100_keys(stack: Stack) -> None:
    with calls.client(stack, stack.create_account("unlimited")) as api:
        ids = [api.get("/v1/keys").json()["keys"][0]["id"]]
        while len(ids) < MAX_KEYS:
            ids.append(api.post("/v1/keys", json={"name": str(len(ids))}).json()["key"]["id"])
        answer = api.post("/v1/keys", json={"name": "one too many"})
        assert refusal(answer) == (403, "TOO_MANY_KEYS")
        assert "100" in answer.json()["error"]["details"]
        again = api.post(f"/v1/keys/{ids[-1]}/rotate", json={"grace_seconds": 60})
        assert refusal(again) == (403, "TOO_MANY_KEYS")
        assert api.post(f"/v1/keys/{ids[-1]}/rotate", json={"grace_seconds": 0}).status_code == 201
        api.delete(f"/v1/keys/{ids[-2]}")
        assert api.post("/v1/keys", json={"name": "room"}).status_code == 201


def test_the_last_use_is_known_within_a_minute(stack: Stack) -> None:
    account = sign_up(stack)
    with calls.client(stack, account.key) as api:
        api.get("/v1/account")
        deadline = time.monotonic() + 60
        while api.get("/v1/keys").json()["keys"][0]["last_used_at"] is None:
            assert time.monotonic() < deadline
            time.sleep(1)
