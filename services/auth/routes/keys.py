"""The keys of an account, for itself."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from libs.errors import INVALID_PARAMETER, KEY_NOT_FOUND, TOO_MANY_KEYS, ApiError
from services.auth import keyring
from services.auth.keyring import MAX_KEYS, KeyNotFound, TooManyKeys
from services.auth.routes import answers
from services.auth.routes.answers import answer
from services.auth.routes.body import read, text
from services.auth.routes.state import State

MAX_LIFETIME: Final = timedelta(days=36_500)
MAX_GRACE_SECONDS: Final = 7 * 24 * 60 * 60


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class Rotate(msgspec.Struct, forbid_unknown_fields=True):
    grace_seconds: Annotated[int, Meta(ge=0, le=MAX_GRACE_SECONDS)]


async def index(request: Request[State]) -> Response:
    """GET /v1/keys"""
    caller = request.state["signer"].caller(request)
    found = await keyring.list_current(request.state["database"], caller.account_id)
    return answer({"keys": [answers.key(key) for key in found]})


async def create(request: Request[State]) -> Response:
    """POST /v1/keys"""
    caller = request.state["signer"].caller(request)
    sent = await read(request, NewKey)
    name, expires_at = text("name", sent.name), _expiry(sent.expires_at)
    try:
        key, api_key = await keyring.create_one_more(
            request.state["database"], caller.account_id, name=name, expires_at=expires_at
        )
    except TooManyKeys as error:
        raise _too_many() from error
    return answer({"key": answers.key(key), "api_key": api_key}, 201)


async def rotate(request: Request[State]) -> Response:
    """POST /v1/keys/{key_id}/rotate"""
    caller = request.state["signer"].caller(request)
    sent = await read(request, Rotate)
    key_id, grace = request.path_params["key_id"], timedelta(seconds=sent.grace_seconds)
    try:
        made = await keyring.rotate(request.state["database"], caller.account_id, key_id, grace)
    except KeyNotFound as error:
        raise ApiError(KEY_NOT_FOUND) from error
    except TooManyKeys as error:
        raise _too_many() from error
    await request.state["changes"].announce(caller.account_id, *([] if grace else [key_id]))
    content = {"key": answers.key(made.new), "api_key": made.api_key, "old": answers.key(made.old)}
    return answer(content, 201)


async def revoke(request: Request[State]) -> Response:
    """DELETE /v1/keys/{key_id}"""
    caller = request.state["signer"].caller(request)
    key_id = request.path_params["key_id"]
    try:
        await keyring.revoke(request.state["database"], key_id, caller.account_id)
    except KeyNotFound as error:
        raise ApiError(KEY_NOT_FOUND) from error
    await request.state["changes"].announce(caller.account_id, key_id)
    return answer({"key_id": key_id})


def _too_many() -> ApiError:
    return ApiError(TOO_MANY_KEYS, f"An account can have {MAX_KEYS} keys; revoke one that is not needed")


def _expiry(at: datetime | None) -> datetime | None:
    now = datetime.now(UTC)
    if at is not None and not now < at < now + MAX_LIFETIME:
        raise ApiError(INVALID_PARAMETER, "expires_at must be in the future, and at most 100 years from now")
    return at
