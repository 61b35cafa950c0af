"""Signing up, and the account itself."""

import asyncio
import re
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from libs.errors import INTERNAL_ERROR, INVALID_PARAMETER, ApiError
from services.auth import accounts
from services.auth.plans import Plan
from services.auth.routes import answers
from services.auth.routes.answers import answer
from services.auth.routes.body import read, text
from services.auth.routes.cookie import cleared
from services.auth.routes.state import State

ADDRESS_HEADER: Final = "X-Client-Address"
MAX_EMAIL: Final = 254  # RFC 5321 section 4.5.3.1.3, without the brackets

_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f\x7f-\x9f]+@[^@\s\x00-\x1f\x7f-\x9f]+")


class SignUp(msgspec.Struct, forbid_unknown_fields=True):
    email: str
    name: str
    invite: str | None = None


class Close(msgspec.Struct, forbid_unknown_fields=True):
    confirm: str


class Change(msgspec.Struct, forbid_unknown_fields=True):
    name: str


async def sign_up(request: Request[State]) -> Response:
    """POST /v1/accounts"""
    signups = request.state["signups"]
    signups.check_open()
    sent = await read(request, SignUp)
    account, key, api_key = await signups.create(
        name=text("name", sent.name),
        email=_email(sent.email),
        invite=sent.invite,
        address=client_address(request),
    )
    content = {"account": answers.account(account), "key": answers.key(key), "api_key": api_key}
    return answer(content, 201)


async def show(request: Request[State]) -> Response:
    """GET /v1/account"""
    caller = request.state["signer"].caller(request)
    account = await accounts.get(request.state["database"], caller.account_id)
    plan = request.state["plans"].get(account.plan)
    decision, stored = await asyncio.gather(
        request.state["authorizer"].level(account.id, plan),
        request.state["ingest"].stored(account.id),
    )
    left = {
        "requests": None if plan.rate is None else decision.left,
        "images": None if plan.images is None else max(0, plan.images - stored.images),
    }
    return answer(
        {
            "account": answers.account(account),
            "limits": _limits(plan),
            "left": left,
            "used": {"images": stored.images, "bytes": stored.bytes},
        }
    )


async def change(request: Request[State]) -> Response:
    """PATCH /v1/account"""
    caller = request.state["signer"].caller(request)
    sent = await read(request, Change)
    account = await accounts.rename(request.state["database"], caller.account_id, text("name", sent.name))
    return answer({"account": answers.account(account)})


async def close(request: Request[State]) -> Response:
    """DELETE /v1/account"""
    caller = request.state["signer"].caller(request)
    sent = await read(request, Close)
    if sent.confirm != caller.account_id:
        raise ApiError(INVALID_PARAMETER, "confirm must be the account's id, as GET /v1/account tells it")
    closed = await request.state["closures"].close(caller.account_id, caller.request_id)
    receipt: dict[str, object] = {
        "account_id": closed.account_id,
        "images": closed.purged.images,
        "objects": closed.purged.objects,
        "nodes": closed.purged.nodes,
        "keys": closed.keys,
        "sessions": closed.sessions,
    }
    if closed.purged.complete:
        return cleared(answer({"receipt": receipt}))
    return cleared(answer({"receipt": receipt | {"purge": "pending"}}, 202))


def client_address(request: Request[State]) -> str:
    """As nginx saw it; without, nginx is configured wrong, and no limit would hold."""
    address = request.headers.get(ADDRESS_HEADER)
    if not address:
        raise ApiError(INTERNAL_ERROR)
    return address


def _limits(plan: Plan) -> dict[str, int | None]:
    """None: unlimited."""
    rate = plan.rate
    return {
        "requests_per_minute": rate.per_minute if rate else None,
        "burst": rate.burst if rate else None,
        "images": plan.images,
    }


def _email(value: str) -> str:
    email = value.strip()
    if len(email) > MAX_EMAIL or not _EMAIL.fullmatch(email):
        raise ApiError(INVALID_PARAMETER, f"email must be an address of at most {MAX_EMAIL} characters")
    return email
