"""What somebody tries who wants into an account that is not theirs."""

import re
import time
from pathlib import Path

import httpx2
import pytest

from services.auth.keys import new_key
from services.auth.sessions import COOKIE
from tests import pictures
from tests.e2e import calls
from tests.e2e.calls import refusal
from tests.e2e.dashboard import ADDRESS, Browser, sign_up, token
from tests.stack import Stack

PLANTED = "us_" + "A" * 43


def test_a_session_that_somebody_planted_is_not_the_victims(stack: Stack, cdn: httpx2.Client) -> None:
    """Session fixation: the attacker's cookie is in the browser when its user signs in."""
    attacker, victim = sign_up(stack), sign_up(stack)
    with Browser(stack, attacker.key) as theirs:
        for planted in (PLANTED, theirs.token, "", "a; b=c"):
            headers = {"Cookie": f"{COOKIE}={planted}"}
            cdn.cookies.clear()
            signed_in = cdn.post("/v1/session", json={"api_key": victim.key}, headers=headers)
            assert signed_in.status_code == 201
            assert token(signed_in) not in (planted, theirs.token)
            cdn.cookies.clear()
            seen = cdn.get("/v1/account", headers=headers)
            assert seen.status_code == 401 or seen.json()["account"]["id"] == attacker.account_id
        assert theirs.get("/v1/account").json()["account"]["id"] == attacker.account_id
    cdn.cookies.clear()


def test_every_sign_in_makes_another_session(stack: Stack) -> None:
    account = sign_up(stack)
    with Browser(stack, account.key) as one, Browser(stack, account.key) as two:
        assert one.token != two.token
        assert one.session_id != two.session_id
        assert one.csrf_token != two.csrf_token


@pytest.mark.parametrize("kind", ["none", "wrong", "another session's", "cut short"])
def test_a_write_without_the_sessions_csrf_token_is_refused(stack: Stack, kind: str) -> None:
    account = sign_up(stack)
    with Browser(stack, account.key) as browser, Browser(stack, account.key) as other:
        tokens = {
            "none": None,
            "wrong": "0" * 64,
            "another session's": other.csrf_token,
            "cut short": browser.csrf_token[:-1],
        }
        sent = tokens[kind]
        made = browser.post("/v1/upload", data={"user_id": "1"}, files={"image": pictures.jpeg()})
        image_id = made.json()["image_id"]
        writes: list[tuple[str, str, dict[str, object]]] = [
            ("POST", "/v1/upload", {"data": {"user_id": "1"}, "files": {"image": pictures.jpeg()}}),
            ("DELETE", f"/v1/images/{image_id}", {}),
            ("DELETE", "/v1/users/1", {}),
            ("PATCH", "/v1/account", {"json": {"name": "stolen"}}),
            ("POST", "/v1/keys", {"json": {"name": "stolen"}}),
            ("POST", f"/v1/keys/{account.key_id}/rotate", {"json": {"grace_seconds": 0}}),
            ("DELETE", f"/v1/keys/{account.key_id}", {}),
            ("DELETE", "/v1/session", {}),
            ("DELETE", f"/v1/sessions/{other.session_id}", {}),
            ("DELETE", "/v1/sessions", {}),
        ]
        for method, path, options in writes:
            answer = browser.request(method, path, sent, **options)
            assert refusal(answer) == (403, "INVALID_CSRF_TOKEN"), path
        assert browser.get(f"/v1/images/{image_id}").status_code == 200
        assert browser.get("/v1/account").json()["account"]["name"] == "Ada"
        assert len(browser.get("/v1/keys").json()["keys"]) == 1
        assert len(browser.get("/v1/sessions").json()["sessions"]) == 2


def test_a_form_of_another_site_cannot_sign_anybody_in(stack: Stack, cdn: httpx2.Client) -> None:
    """To the attacker's account, where the victim's uploads would be seen. A form cannot send this type."""
    attacker = sign_up(stack)
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = cdn.post(
            "/v1/session", content=f'{{"api_key": "{attacker.key}"}}', headers={"Content-Type": media_type}
        )
        assert refusal(answer) == (400, "INVALID_REQUEST")


def test_no_other_site_may_read_an_answer(stack: Stack) -> None:
    with Browser(stack, sign_up(stack).key) as browser:
        origin = {"Origin": "https://evil.example"}
        for answer in (
            browser.request("GET", "/v1/session", headers=origin),
            browser.request("OPTIONS", "/v1/keys", headers=origin),
        ):
            assert "access-control-allow-origin" not in answer.headers


def test_a_stolen_cookie_is_worth_nothing_after_the_sign_out(stack: Stack) -> None:
    account = sign_up(stack)
    with Browser(stack, account.key) as browser:
        answers = [browser.get("/v1/account") for _ in stack.names("auth")]
        assert {answer.status_code for answer in answers} == {200}
        answer = browser.delete("/v1/session")
        assert answer.status_code == 200
        assert "Max-Age=0" in answer.headers["set-cookie"]
        for _ in stack.names("auth"):
            assert refusal(browser.get("/v1/account")) == (401, "INVALID_SESSION")
            assert refusal(browser.delete(f"/v1/keys/{account.key_id}")) == (401, "INVALID_SESSION")


@pytest.mark.parametrize("cookie", ["", "x", PLANTED, PLANTED[:-1], "a" * 4000, '"', "\\073", "%00"])
def test_a_cookie_of_no_session_is_refused(cdn: httpx2.Client, cookie: str) -> None:
    answer = cdn.get("/v1/account", headers={"Cookie": f"{COOKIE}={cookie}"})
    assert refusal(answer)[0] == 401


def test_a_key_is_no_session_and_a_session_no_key(stack: Stack, cdn: httpx2.Client) -> None:
    account = sign_up(stack)
    with Browser(stack, account.key) as browser:
        for headers in (
            {"Cookie": f"{COOKIE}={account.key}"},
            {"Authorization": f"Bearer {browser.token}"},
            {"Authorization": f"Bearer {browser.session_id}"},
            {"Cookie": f"{COOKIE}={browser.session_id}"},
        ):
            assert cdn.get("/v1/account", headers=headers).status_code == 401
        assert cdn.post("/v1/session", json={"api_key": browser.token}).status_code == 401


def test_signing_up_tells_nobody_who_has_an_address(cdn: httpx2.Client) -> None:
    """Enumeration: whether an address is known changes neither the answer nor its form."""
    cdn.post("/v1/accounts", json=ADDRESS)
    known, unknown = (
        cdn.post("/v1/accounts", json=ADDRESS | {"email": email})
        for email in (ADDRESS["email"], f"{time.time_ns()}@example.com")
    )
    assert known.status_code == unknown.status_code == 201
    assert known.headers.keys() == unknown.headers.keys()
    assert shape(known) == shape(unknown)


def shape(answer: httpx2.Response) -> str:
    """The answer without what is different in any two."""
    text = re.sub(r"(acct|key)_[0-9a-f]{16}|up_live_…?\w+|[^\"]+@example\.com", "*", answer.text)
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "*", text)


def test_a_wrong_key_is_refused_in_the_same_words_whatever_is_wrong_with_it(
    stack: Stack, cdn: httpx2.Client
) -> None:
    account = sign_up(stack)
    with calls.client(stack, account.key) as api:
        made = api.post("/v1/keys", json={"name": "a"}).json()
        api.delete(f"/v1/keys/{made['key']['id']}")
    wrong = ("x", account.key[:-1] + "~", new_key(), made["api_key"])
    answers = [cdn.get("/v1/account", headers={"Authorization": f"Bearer {key}"}) for key in wrong]
    assert len({answer.text for answer in answers}) == 1
    assert len({answer.headers["www-authenticate"] for answer in answers}) == 1


def test_no_key_and_no_session_is_in_a_log_or_in_an_error(stack: Stack, cdn: httpx2.Client) -> None:
    """Also where it was put in the wrong place: into the URL, a field of another name, another header."""
    account = sign_up(stack)
    stack.admin("set-plan", "--account", account.account_id, "--plan", "unlimited")
    unknown = new_key()
    errors = []
    with Browser(stack, account.key) as browser, calls.client(stack, account.key) as api:
        secrets = [account.key, unknown, browser.token, PLANTED]
        made = [
            browser.csrf_token,
            api.post("/v1/keys", json={"name": "a"}).json()["api_key"],
            api.post(f"/v1/keys/{account.key_id}/rotate", json={"grace_seconds": 60}).json()["api_key"],
        ]
        browser.get("/v1/account")
        cdn.get("/v1/account", headers={"Cookie": f"{COOKIE}={PLANTED}"})
        for secret in secrets:
            errors += [
                cdn.get(f"/v1/account?api_key={secret}"),
                cdn.get(f"/v1/images?cursor={secret}", headers={"Authorization": f"Bearer {account.key}"}),
                cdn.get(f"/{secret}"),
                api.delete(f"/v1/keys/{secret}"),
                api.get(f"/v1/images/{secret}"),
                api.delete(f"/v1/sessions/{secret}"),
                cdn.post("/v1/session", json={secret: "x"}),
                cdn.post("/v1/session", json={"key": secret}),
                cdn.post("/v1/session", json=[secret]),
                cdn.post("/v1/session", content=secret, headers={"Content-Type": "application/json"}),
                cdn.post("/v1/session", json={"api_key": f"{secret}x"}),
                api.post("/v1/keys", json={"name": "a", "expires_at": secret}),
                api.post("/v1/keys", json={"name": secret * 9}),
                cdn.post("/v1/accounts", json={"email": secret, "name": "a"}),
                cdn.get("/v1/account", headers={"Authorization": secret}),
                cdn.get("/v1/account", headers={"X-Api-Key": secret, "X-Request-Id": secret}),
            ]
    cdn.cookies.clear()
    assert {answer.status_code for answer in errors} <= {400, 401, 404}
    for answer in errors:
        assert not any(secret in answer.text for secret in secrets)
    time.sleep(1.5)  # nginx writes its log once a second
    logs = "".join(path.read_text() for path in Path(stack.state_dir, "log").iterdir())
    assert "/v1/account" in logs
    for secret in (*secrets, *made):
        assert secret not in logs
