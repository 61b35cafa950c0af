"""Deleting an account and everything in it, and what happens where a part is away."""

import socket
import subprocess
import time
from collections.abc import Iterator
from signal import SIGKILL
from typing import Any, Final

import httpx2
import pytest

from deploy.local import postgres
from tests import pictures
from tests.conftest import MANY_DOORS
from tests.e2e import calls
from tests.e2e.calls import refusal
from tests.e2e.dashboard import Account, Browser, sign_up
from tests.faults.broken import QUICK, Breakable
from tests.stack import Stack, discard, wait_for

PICTURE: Final = pictures.jpeg(60, 40)
QUICKLY: Final = QUICK | MANY_DOORS | {"USAGE_SECONDS": "0.3", "CLOSURES_SECONDS": "0.3"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Breakable]:
    state_dir = tmp_path_factory.mktemp("closing") / "var"
    running = Breakable(state_dir, QUICKLY)
    yield running
    running.stop()
    discard(state_dir)


@pytest.fixture
def account(stack: Stack) -> Account:
    return sign_up(stack, email="ada.lovelace@example.org", name="Ada of Closing")


@pytest.fixture
def api(stack: Stack, account: Account) -> Iterator[httpx2.Client]:
    with calls.client(stack, account.key) as client:
        yield client


def close(api: httpx2.Client, account: Account) -> httpx2.Response:
    return api.request("DELETE", "/v1/account", json={"confirm": account.account_id})


def dump(stack: Stack) -> str:
    """All that PostgreSQL keeps."""
    command = ["pg_dump", "--data-only", "--inserts", "--dbname", postgres.url(stack.state)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def closures(stack: Breakable) -> list[dict[str, Any]]:
    return [dict(row) for row in stack.sql("SELECT * FROM auth.closures")]


def wait_until_purged(stack: Breakable, account: Account) -> None:
    query = "SELECT FROM auth.closures WHERE account_id = $1 AND purged_at IS NOT NULL"
    wait_for(lambda: len(stack.sql(query, account.account_id)) == 1, 60)


def test_everything_of_the_account_is_gone_with_a_receipt(
    stack: Breakable, account: Account, api: httpx2.Client
) -> None:
    made = [calls.upload(api, PICTURE, f"user of Ada {number % 2}")["image_id"] for number in range(3)]
    second = api.post("/v1/keys", json={"name": "second of Ada"}).json()["api_key"]
    with (
        Browser(stack, account.key) as browser,
        calls.client(stack) as cdn,
        calls.client(stack, second) as other,
    ):
        cdn.get(f"/{made[0]}?w=20")
        answer = close(api, account)
        assert answer.status_code == 200, answer.text
        assert answer.json() == {
            "success": True,
            "receipt": {
                "account_id": account.account_id,
                "images": 3,
                "objects": 9,
                "nodes": 1,
                "keys": 2,
                "sessions": 1,
            },
        }
        for client in (api, other):
            assert refusal(client.get("/v1/images")) == (401, "INVALID_API_KEY")
        assert refusal(browser.get("/v1/account")) == (401, "INVALID_SESSION")
        for path in (*made, f"{made[0]}?w=20"):
            assert cdn.get(f"/{path}").status_code == 404
    assert not stack.stored_ids() & set(made)
    kept = dump(stack)
    for text in ("ada.lovelace@example.org", "Ada of Closing", "user of Ada", "second of Ada"):
        assert text not in kept
    assert stack.miscounted() == []


def test_a_closure_ends_without_a_trace_when_nobody_can_come_late(
    stack: Breakable, account: Account, api: httpx2.Client
) -> None:
    calls.upload(api, PICTURE)
    assert close(api, account).status_code == 200
    assert account.account_id in dump(stack)
    time.sleep(5)  # what the processes have counted is written by then; an hour is what they have in life
    old = "now() - interval '1 hour'"
    for table in ("auth.usage", "ingest.usage"):  # written by a process that had it in memory still
        stack.sql(f"INSERT INTO {table} VALUES ($1, '2026-01-01', 'calls', 1)", account.account_id)
    stack.sql(f"UPDATE auth.closures SET requested_at = {old}, next_attempt_at = {old}")
    stack.sql(f"UPDATE ingest.storage SET closed_at = {old} WHERE closed_at IS NOT NULL")
    wait_for(lambda: account.account_id not in dump(stack), 60)


def test_it_has_to_be_meant(stack: Breakable, account: Account, api: httpx2.Client) -> None:
    for confirm in ("", "acct_0000000000000000", account.account_id[:-1]):
        answer = api.request("DELETE", "/v1/account", json={"confirm": confirm})
        assert refusal(answer) == (400, "INVALID_PARAMETER")
    assert refusal(api.request("DELETE", "/v1/account", json={})) == (400, "INVALID_PARAMETER")
    with Browser(stack, account.key) as browser:
        body = {"confirm": account.account_id}
        answer = browser.request("DELETE", "/v1/account", csrf=None, json=body)
        assert refusal(answer) == (403, "INVALID_CSRF_TOKEN")
        assert browser.get("/v1/account").status_code == 200
        done = browser.request("DELETE", "/v1/account", json=body)
        assert done.status_code == 200
        assert "Max-Age=0" in done.headers["set-cookie"]


def test_other_accounts_keep_what_they_have(stack: Breakable, account: Account, api: httpx2.Client) -> None:
    with calls.client(stack, sign_up(stack).key) as other:
        kept = calls.upload(other, PICTURE)["image_id"]
        calls.upload(api, PICTURE)
        assert close(api, account).status_code == 200
        assert other.get(f"/v1/images/{kept}").status_code == 200
        assert other.get(f"/{kept}").status_code == 200


def test_without_ingest_the_keys_end_and_the_rest_follows(
    stack: Breakable, account: Account, api: httpx2.Client
) -> None:
    image_id = calls.upload(api, PICTURE)["image_id"]
    with stack.down("ingest"):
        answer = close(api, account)
        assert answer.status_code == 202
        assert answer.json()["receipt"] == {
            "account_id": account.account_id,
            "images": 0,
            "objects": 0,
            "nodes": 0,
            "keys": 1,
            "sessions": 0,
            "purge": "pending",
        }
        assert refusal(api.get("/v1/account")) == (401, "INVALID_API_KEY")
        assert account.account_id in str(closures(stack))
    wait_until_purged(stack, account)
    with calls.client(stack) as cdn:
        assert cdn.get(f"/{image_id}").status_code == 404


def test_an_operator_can_delete_an_account(stack: Breakable, account: Account, api: httpx2.Client) -> None:
    image_id = calls.upload(api, PICTURE, "user of Ada")["image_id"]
    stack.admin("delete-account", "--account", account.account_id)
    assert refusal(api.get("/v1/images")) == (401, "INVALID_API_KEY")
    wait_until_purged(stack, account)
    assert image_id not in stack.stored_ids()
    assert "user of Ada" not in dump(stack)
    with pytest.raises(RuntimeError, match="there is no account"):
        stack.admin("delete-account", "--account", account.account_id)


def test_what_a_killed_auth_has_begun_is_finished(
    stack: Breakable, account: Account, api: httpx2.Client
) -> None:
    """Killed while ingest hangs: everything but the keys is still to do."""
    image_id = calls.upload(api, PICTURE)["image_id"]
    with stack.hung("ingest"):
        with pytest.raises(httpx2.TimeoutException):
            api.request("DELETE", "/v1/account", json={"confirm": account.account_id}, timeout=1)
        wait_for(lambda: account.account_id in str(closures(stack)))
        stack.signal("auth", SIGKILL)
    wait_until_purged(stack, account)
    assert image_id not in stack.stored_ids()


def test_an_upload_that_was_let_in_before_the_account_was_closed_stores_nothing(
    stack: Breakable, account: Account, api: httpx2.Client
) -> None:
    """Its identity is good for a quarter of an hour: nginx may be waiting for the rest of its body."""
    calls.upload(api, PICTURE)
    body = calls.form(calls.part("user_id", b"late"), calls.part("image", PICTURE, 'filename="a.jpg"'))
    headers = {"Authorization": f"Bearer {account.key}", "Expect": "100-continue", **calls.MULTIPART}
    lines = [f"{name}: {value}" for name, value in (headers | {"Content-Length": str(len(body))}).items()]
    head = "\r\n".join(["POST /v1/upload HTTP/1.1", "Host: localhost", *lines, "", ""])
    with socket.create_connection(("localhost", stack.port), timeout=30) as late:
        late.sendall(head.encode())
        assert late.recv(1000).startswith(b"HTTP/1.1 100 ")  # nginx reads on: it was let in
        assert close(api, account).status_code == 200
        late.sendall(body)
        assert late.recv(1000).startswith(b"HTTP/1.1 401 ")
    assert "'late'" not in dump(stack)


@pytest.mark.parametrize("away", ["ingest", "postgres"])
def test_where_a_part_is_away_the_numbers_are_a_503_in_time(
    stack: Breakable, account: Account, api: httpx2.Client, away: str
) -> None:
    assert api.get("/v1/account").status_code == 200
    with stack.hung(away):
        for path in ("/v1/account", "/v1/usage"):
            answer = httpx2.get(f"{stack.base_url}{path}", headers=api.headers, timeout=9)
            assert refusal(answer) == (503, "SERVICE_UNAVAILABLE")
            assert int(answer.headers["retry-after"]) > 0
    with stack.down(away):
        for path in ("/v1/account", "/v1/usage"):
            assert refusal(api.get(path)) == (503, "SERVICE_UNAVAILABLE")
    wait_for(lambda: api.get("/v1/account").status_code == 200)


def test_without_postgres_nothing_is_closed(stack: Breakable, account: Account, api: httpx2.Client) -> None:
    assert api.get("/v1/account").status_code == 200
    with stack.hung("postgres"):
        assert refusal(close(api, account)) == (503, "SERVICE_UNAVAILABLE")
    wait_for(lambda: api.get("/v1/account").status_code == 200)
    assert account.account_id not in str(closures(stack))


def test_the_inner_address_answers_auth_only(stack: Breakable, account: Account) -> None:
    transport = httpx2.HTTPTransport(uds=str(stack.state.run / "control.sock"))
    with httpx2.Client(transport=transport, base_url="http://nginx") as inner:
        for headers in ({}, {"Authorization": f"Bearer {account.key}"}, {"X-Identity": "x"}):
            assert inner.get("/ingest/account", headers=headers).status_code == 401
            assert inner.delete("/ingest/account", headers=headers).status_code == 401
    with calls.client(stack, account.key) as api:
        for path in ("/inner/account", "/ingest/account"):
            assert api.get(path).status_code == 404
