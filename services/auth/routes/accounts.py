"""Signing up, and the account itself."""

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
from services.auth.routes.state import State

ADDRESS_HEADER: Final = "X-Client-Address"
MAX_EMAIL: Final = 254  # RFC 5321 section 4.5.3.1.3, without the brackets

_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f\x7f-\x9f]+@[^@\s\x00-\x1f\x7f-\x9f]+")


class SignUp(msgspec.Struct, forbid_unknown_fields=True):
    email: str
    name: str
    invite: str | None = None


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
    decision = await request.state["authorizer"].level(account.id, plan)
    left = None if plan.rate is None else decision.left
    return answer(
        {
            "account": answers.account(account),
            "limits": _limits(plan),
            "left": {"requests": left, "images": None},
            "used": {"images": None, "bytes": None},
        }
    )


async def change(request: Request[State]) -> Response:
    """PATCH /v1/account"""
    caller = request.state["signer"].caller(request)
    sent = await read(request, Change)
    account = await accounts.rename(request.state["database"], caller.account_id, text("name", sent.name))
    return answer({"account": answers.account(account)})


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
