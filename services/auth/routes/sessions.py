"""Signing in and out: a key for a cookie, and the sessions of an account."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from libs.errors import SESSION_NOT_FOUND, ApiError, InvalidSession
from libs.identity import Identity
from services.auth import accounts, sessions
from services.auth.limiter import network
from services.auth.routes import answers
from services.auth.routes.accounts import client_address
from services.auth.routes.answers import answer
from services.auth.routes.authorize import over_limit
from services.auth.routes.body import MAX_TEXT, read
from services.auth.routes.cookie import cleared, set_cookie
from services.auth.routes.state import State
from services.auth.sessions import Session, SessionNotFound

DOOR = "sign-ins"


class SignIn(msgspec.Struct, forbid_unknown_fields=True):
    api_key: str


async def sign_in(request: Request[State]) -> Response:
    """POST /v1/session"""
    state = request.state
    sent = await read(request, SignIn)
    await state["limiter"].take(DOOR, network(client_address(request)), state["sign_ins"])
    grant = await state["authorizer"].by_key(sent.api_key.strip(), dashboard=True)
    if not grant.decision.allowed:
        raise over_limit(grant)
    caller = grant.caller
    user_agent = request.headers.get("user-agent", "")[:MAX_TEXT]
    session, token = await sessions.create(state["database"], caller.account_id, caller.key_id, user_agent)
    response = await _describe(request, caller.account_id, session, 201)
    set_cookie(response, token, int(sessions.LIFETIME.total_seconds()))
    return response


async def show(request: Request[State]) -> Response:
    """GET /v1/session"""
    caller, session_id = _signed_in(request)
    try:
        session = await sessions.get(request.state["database"], caller.account_id, session_id)
    except SessionNotFound as error:
        raise InvalidSession from error
    return await _describe(request, caller.account_id, session)


async def sign_out(request: Request[State]) -> Response:
    """DELETE /v1/session"""
    caller, session_id = _signed_in(request)
    await _end(request, caller, session_id)
    return cleared(answer({"session_id": session_id}))


async def index(request: Request[State]) -> Response:
    """GET /v1/sessions"""
    caller = request.state["signer"].caller(request)
    found = await sessions.list_current(request.state["database"], caller.account_id)
    return answer({"sessions": [answers.session(each, caller.session_id) for each in found]})


async def end(request: Request[State]) -> Response:
    """DELETE /v1/sessions/{session_id}"""
    caller = request.state["signer"].caller(request)
    session_id = request.path_params["session_id"]
    await _end(request, caller, session_id)
    ended = answer({"session_id": session_id})
    return cleared(ended) if session_id == caller.session_id else ended


async def end_all(request: Request[State]) -> Response:
    """DELETE /v1/sessions"""
    caller = request.state["signer"].caller(request)
    ids = await sessions.end_all(request.state["database"], caller.account_id)
    await request.state["changes"].announce(caller.account_id, *ids)
    return cleared(answer({"session_ids": ids}))


async def _end(request: Request[State], caller: Identity, session_id: str) -> None:
    try:
        await sessions.end(request.state["database"], caller.account_id, session_id)
    except SessionNotFound as error:
        raise ApiError(SESSION_NOT_FOUND) from error
    await request.state["changes"].announce(caller.account_id, session_id)


def _signed_in(request: Request[State]) -> tuple[Identity, str]:
    """The caller and its session; a caller with a key has none."""
    caller = request.state["signer"].caller(request)
    if caller.session_id is None:
        raise InvalidSession
    return caller, caller.session_id


async def _describe(
    request: Request[State], account_id: str, session: Session, status: int = 200
) -> Response:
    account = await accounts.get(request.state["database"], account_id)
    content = {
        "account": answers.account(account),
        "session": answers.session(session, session.id),
        "csrf_token": request.state["csrf"].token(session.id),
    }
    return answer(content, status)
