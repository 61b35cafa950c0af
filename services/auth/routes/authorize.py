"""`GET /authorize`: what nginx's auth_request asks before it reads a body."""

import json
import time
from typing import Final

from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import Response

from libs import errors, identity
from libs.errors import ApiError, InvalidApiKey
from libs.identity import Identity
from services.auth import csrf, sessions
from services.auth.authorizer import Grant
from services.auth.plans import Rate
from services.auth.routes.state import State

ANSWERS: Final = Counter("authorize_total", "Answers to nginx by the public error code, or ok", ["code"])
LIMITED: Final = Counter("rate_limited_total", "Requests over a plan's rate, or the dashboard's", ["plan"])

OWN_POSTS: Final = ("/v1/keys", "/v1/session")


async def authorize(request: Request[State]) -> Response:
    """204 with the identity, 401, or 403 with the status for nginx to answer: it lets no other through."""
    grant = None
    try:
        grant = await _grant(request)
        _check_csrf(request, grant)
        if not grant.decision.allowed:
            LIMITED.labels(grant.limit.name).inc()
            raise over_limit(grant)
        statement = request.state["signer"].sign(_identity(request, grant))
    except ApiError as error:
        if grant and not grant.dashboard:  # what was refused before that, the authorizer has counted
            request.state["usage"].refused(grant.caller.account_id, error.problem.code)
        return denial(error)
    ANSWERS.labels("ok").inc()
    return Response(status_code=204, headers={identity.HEADER: statement} | rate_headers(grant))


async def _grant(request: Request[State]) -> Grant:
    """Of the key in Authorization or, where none is sent, of the session in the cookie."""
    authorizer, header = request.state["authorizer"], request.headers.get("authorization")
    token = request.cookies.get(sessions.COOKIE)
    if header or token is None:
        return await authorizer.by_key(bearer(header))
    method, path = request.headers.get("x-original-method"), request.headers.get("x-original-path")
    return await authorizer.by_session(token, dashboard=not _uploads(method, path))


def _check_csrf(request: Request[State], grant: Grant) -> None:
    """Of what a session changes; a key is in no browser's hands."""
    session_id, method = grant.caller.session_id, request.headers.get("x-original-method")
    if session_id is None or method in csrf.SAFE_METHODS:
        return
    if not request.state["csrf"].valid(session_id, request.headers.get(csrf.HEADER)):
        raise ApiError(errors.INVALID_CSRF_TOKEN)


def _uploads(method: str | None, path: str | None) -> bool:
    """An upload costs what it costs, from the dashboard too; so does what may be one, as /v1/%75pload is."""
    return method == "POST" and not (path or "").startswith(OWN_POSTS)


def bearer(header: str | None) -> str:
    """The key in an Authorization header; RFC 9110 section 11.1: the scheme's case does not matter."""
    scheme, _, key = (header or "").strip().partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key:
        raise InvalidApiKey(sent=False)
    return key


def _identity(request: Request[State], grant: Grant) -> Identity:
    try:
        method, path, request_id = (
            request.headers[name] for name in ("x-original-method", "x-original-path", "x-edge-request-id")
        )
    except (
        KeyError
    ) as error:  # nginx is configured wrong; an identity that is bound to nothing must not exist
        raise ApiError(errors.INTERNAL_ERROR) from error
    return Identity(
        account_id=grant.caller.account_id,
        plan=grant.plan.name,
        key_id=grant.caller.key_id,
        method=method,
        path=path,
        request_id=request_id,
        session_id=grant.caller.session_id,
        dashboard=grant.dashboard,
        image_limit=grant.plan.images,
    )


def denial(error: ApiError) -> Response:
    """The public error in headers: nginx hands out X-Error-Body with the status X-Error-Status."""
    ANSWERS.labels(error.problem.code).inc()
    text = json.dumps(json.loads(errors.body(error.problem, error.details)), separators=(",", ":"))
    headers = {"X-Error-Body": text, "X-Error-Status": str(error.problem.status)} | error.headers
    return Response(status_code=401 if error.problem.status == 401 else 403, headers=headers)


def over_limit(grant: Grant) -> ApiError:
    """429, with the seconds until the next token."""
    rate = _rate(grant)
    seconds = max(1, _seconds(grant.decision.next_token))
    who = "The dashboard" if grant.dashboard else f"The plan {grant.plan.name}"
    details = (
        f"{who} allows {rate.per_minute} requests a minute"
        f" with a burst of {rate.burst}; send the request again in {seconds} s"
    )
    return ApiError(errors.RATE_LIMIT_EXCEEDED, details, {"Retry-After": str(seconds)} | rate_headers(grant))


def rate_headers(grant: Grant) -> dict[str, str]:
    """draft-ietf-httpapi-ratelimit-headers-10, and the older names; nothing for an unlimited plan.

    The limit is the plan's tokens a minute, the reset is when the bucket is full again.
    """
    if grant.limit.rate is None:
        return {}
    name, rate, decision = grant.limit.name, grant.limit.rate, grant.decision
    full_seconds = _seconds(decision.full)
    return {
        "RateLimit-Policy": f'"{name}";q={rate.per_minute};w=60',
        "RateLimit": f'"{name}";r={decision.left};t={full_seconds}',
        "X-RateLimit-Limit": str(rate.per_minute),
        "X-RateLimit-Remaining": str(decision.left),
        "X-RateLimit-Reset": str(int(time.time()) + full_seconds),
    }


def _seconds(microseconds: int) -> int:
    return -(-microseconds // 1_000_000)


def _rate(grant: Grant) -> Rate:
    if grant.limit.rate is None:
        raise ValueError("an unlimited plan has no limit to be over")
    return grant.limit.rate
