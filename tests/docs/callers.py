"""Who calls, and with which pictures: Schemathesis loads this as its hooks."""

import os
from typing import Any

import httpx2
import schemathesis
from hypothesis import strategies
from schemathesis import AuthContext, Case

from services.auth.csrf import HEADER
from services.auth.sessions import COOKIE
from tests import pictures

PICTURES = strategies.sampled_from([pictures.jpeg(), pictures.png(), pictures.webp()])
BASE_URL, KEY = os.environ["BASE_URL"], os.environ["API_KEY"]

schemathesis.openapi.format("binary", PICTURES)
for media_type in ("image/jpeg", "image/png", "image/webp"):
    schemathesis.openapi.media_type(media_type, PICTURES)


@schemathesis.auth(refresh_interval=None).skip_for(path="/v1/session")
class Program:
    """Has a key."""

    def get(self, _: "Case[Any]", __: AuthContext) -> str:
        return KEY

    def set(self, case: "Case[Any]", data: str, _: AuthContext) -> None:
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.auth(refresh_interval=None).apply_to(path="/v1/session")
class Browser:
    """Signs in anew each time, for it may sign out."""

    def get(self, _: "Case[Any]", __: AuthContext) -> dict[str, str]:
        answer = httpx2.post(f"{BASE_URL}/v1/session", json={"api_key": KEY})
        cookie = answer.headers["set-cookie"].partition(";")[0]
        return {"Cookie": cookie, HEADER: answer.json()["csrf_token"]}

    def set(self, case: "Case[Any]", data: dict[str, Any], _: AuthContext) -> None:
        assert data["Cookie"].startswith(COOKIE)
        case.headers.update(data)
