"""The form of auth's own answers."""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
from starlette.responses import Response

from libs import errors
from services.auth.accounts import Account
from services.auth.keyring import Key
from services.auth.keys import PREFIX
from services.auth.sessions import Session


def answer(content: Mapping[str, object], status: int = 200) -> Response:
    """200 or 201 in JSON, and never kept by a cache: it may hold a key."""
    body = msgspec.json.encode({"success": True, **content})
    return Response(body, status, media_type="application/json", headers=errors.NO_STORE)


def account(of: Account) -> dict[str, object]:
    return {
        "id": of.id,
        "name": of.name,
        "email": of.email,
        "plan": of.plan,
        "created_at": _time(of.created_at),
    }


def key(of: Key) -> dict[str, object]:
    return {
        "id": of.id,
        "name": of.name,
        "created_at": _time(of.created_at),
        "last_used_at": _time(of.last_used_at),
        "expires_at": _time(of.expires_at),
        "hint": f"{PREFIX}…{of.hint}" if of.hint else None,
    }


def session(of: Session, current_id: str | None) -> dict[str, object]:
    return {
        "id": of.id,
        "created_at": _time(of.created_at),
        "last_used_at": _time(of.last_used_at),
        "expires_at": _time(of.expires_at),
        "user_agent": of.user_agent,
        "current": of.id == current_id,
    }


def _time(at: datetime | None) -> str | None:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None
