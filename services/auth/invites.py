"""Invites: codes that operators make, each good for some accounts."""

import re
import secrets
from datetime import datetime
from hashlib import sha256
from typing import Final

import msgspec

from libs.database import Database, Queries

_CODE: Final = re.compile(r"[0-9A-Za-z_-]{24}")


class Invite(msgspec.Struct, frozen=True):
    """What is kept of an invite, without its code."""

    id: str
    note: str
    uses: int
    used: int
    created_at: datetime
    expires_at: datetime | None


async def create(
    database: Database, *, uses: int, note: str, expires_at: datetime | None = None
) -> tuple[str, str]:
    """A new invite: its id, and its code for the only time."""
    invite_id, code = f"inv_{secrets.token_hex(8)}", secrets.token_urlsafe(18)
    await database.execute(
        "INSERT INTO auth.invites (id, hash, note, uses, expires_at) VALUES ($1, $2, $3, $4, $5)",
        invite_id,
        _digest(code),
        note,
        uses,
        expires_at,
    )
    return invite_id, code


async def spend(queries: Queries, code: str) -> bool:
    """Takes one use of the invite; False where it is unknown, used up or expired."""
    if not _CODE.fullmatch(code):
        return False
    row = await queries.fetchrow(
        "UPDATE auth.invites SET used = used + 1 WHERE hash = $1 AND used < uses"
        " AND (expires_at IS NULL OR expires_at > now()) RETURNING id",
        _digest(code),
    )
    return row is not None


async def list_invites(database: Database) -> list[Invite]:
    """All invites, oldest first."""
    rows = await database.fetch(
        "SELECT id, note, uses, used, created_at, expires_at FROM auth.invites ORDER BY created_at, id"
    )
    return [Invite(**dict(row)) for row in rows]


def _digest(code: str) -> bytes:
    return sha256(code.encode()).digest()
