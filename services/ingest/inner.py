"""What auth asks about a whole account; the identity says which. Only nginx's inner address leads here."""

from datetime import date
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from libs.errors import INVALID_PARAMETER, ApiError
from services.ingest.routes import State


async def stored(request: Request[State]) -> Response:
    """GET /inner/account"""
    account_id = request.state["signer"].caller(request).account_id
    return _json(await request.state["images"].stored(account_id))


async def delete(request: Request[State]) -> Response:
    """DELETE /inner/account"""
    caller = request.state["signer"].caller(request)
    await request.state["images"].close(caller.account_id)
    return _json(await request.state["deletions"].account(caller.account_id, caller.request_id))


async def usage(request: Request[State]) -> Response:
    """GET /inner/usage?from=2026-01-01&to=2026-01-31"""
    account_id = request.state["signer"].caller(request).account_id
    try:
        first, last = (date.fromisoformat(request.query_params[name]) for name in ("from", "to"))
    except (KeyError, ValueError) as error:
        raise ApiError(INVALID_PARAMETER) from error
    return _json(await request.state["usage"].days(account_id, first, last))


def _json(content: object) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")


ROUTES: Final = [
    Route("/inner/account", stored, methods=["GET"]),
    Route("/inner/account", delete, methods=["DELETE"]),
    Route("/inner/usage", usage, methods=["GET"]),
]
