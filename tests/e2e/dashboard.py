"""The API as the dashboard calls it: accounts signed up for, and a browser with a session."""

from types import TracebackType
from typing import Any, Final, NamedTuple

import httpx2

from services.auth.csrf import HEADER
from services.auth.sessions import COOKIE
from tests.e2e import calls
from tests.e2e.calls import Served

ADDRESS: Final = {"email": "ada@example.com", "name": "Ada"}


class Account(NamedTuple):
    account_id: str
    key_id: str
    key: str


def sign_up(stack: Served, **fields: str) -> Account:
    """A new account on the plan free, from outside."""
    with calls.client(stack) as nobody:
        answer = nobody.post("/v1/accounts", json=ADDRESS | fields)
    assert answer.status_code == 201, answer.text
    body = answer.json()
    return Account(body["account"]["id"], body["key"]["id"], body["api_key"])


class Browser:
    """Somebody who is signed in. The cookie is sent by hand: Python's jars keep a Secure one from http."""

    def __init__(self, stack: Served, key: str, user_agent: str = "a browser") -> None:
        self._http = calls.client(stack, **{"User-Agent": user_agent})
        self.signed_in = self._http.post("/v1/session", json={"api_key": key})
        assert self.signed_in.status_code == 201, self.signed_in.text
        body = self.signed_in.json()
        self.session_id: str = body["session"]["id"]
        self.csrf_token: str = body["csrf_token"]
        self.token = token(self.signed_in)

    def request(self, method: str, path: str, csrf: str | None = "", **options: Any) -> httpx2.Response:
        """`csrf`: another token than the session's; None sends none."""
        self._http.cookies.clear()
        headers = {"Cookie": f"{COOKIE}={self.token}", **options.pop("headers", {})}
        if csrf is not None:
            headers[HEADER] = csrf or self.csrf_token
        return self._http.request(method, path, headers=headers, **options)

    def get(self, path: str) -> httpx2.Response:
        return self.request("GET", path, csrf=None)

    def post(self, path: str, **options: Any) -> httpx2.Response:
        return self.request("POST", path, **options)

    def delete(self, path: str) -> httpx2.Response:
        return self.request("DELETE", path)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()


def token(answer: httpx2.Response) -> str:
    """The cookie that the answer sets."""
    name, _, value = answer.headers["set-cookie"].partition(";")[0].partition("=")
    assert name == COOKIE
    return value
