"""Sessions: a browser that showed a key once, and is known by a cookie from then on."""

import re
import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

import msgspec

from libs.database import Database

COOKIE: Final = "__Host-session"  # RFC 6265bis: the prefix makes browsers keep other hosts from setting it
PREFIX: Final = "us_"
RANDOM_BYTES: Final = 32
LIFETIME: Final = timedelta(days=30)
MAX_SESSIONS: Final = 100  # an account; one more ends the oldest

_TOKEN: Final = re.compile(rf"{PREFIX}[0-9A-Za-z_-]{{43}}")
_FIELDS: Final = (
    "s.id, s.created_at, s.last_used_at, least(s.expires_at, k.expires_at) AS expires_at, s.user_agent"
)


class Session(msgspec.Struct, frozen=True):
    """What is kept of a session, without its token."""

    id: str
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime
    user_agent: str


class SessionNotFound(Exception):
    """No such session of this account, or it has ended already."""


def is_token(text: str) -> bool:
    """Whether `text` looks like one of ours; noise ends here, before the database."""
    return _TOKEN.fullmatch(text) is not None


def digest(token: str) -> bytes:
    """The 32 bytes that are stored and searched for; see `keys.digest`."""
    return sha256(token.encode()).digest()


async def create(database: Database, account_id: str, key_id: str, user_agent: str) -> tuple[Session, str]:
    """A new session of the key, and its token for the only time; a client can choose neither."""
    token = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    row = await database.fetchrow(
        "WITH dropped AS ("
        "  DELETE FROM auth.sessions WHERE account_id = $2 AND (expires_at <= now() OR id IN ("
        "   SELECT id FROM auth.sessions WHERE account_id = $2 ORDER BY created_at DESC OFFSET $6))"
        "), s AS ("
        "  INSERT INTO auth.sessions (id, account_id, key_id, hash, user_agent, expires_at)"
        "  VALUES ($1, $2, $3, $4, $5, now() + $7::interval) RETURNING *"
        f") SELECT {_FIELDS} FROM s JOIN auth.keys k ON k.id = s.key_id",
        f"sess_{secrets.token_hex(8)}",
        account_id,
        key_id,
        digest(token),
        user_agent,
        MAX_SESSIONS - 1,
        LIFETIME,
    )
    if row is None:
        raise SessionNotFound(key_id)
    return Session(**dict(row)), token


async def list_current(database: Database, account_id: str) -> list[Session]:
    """The account's sessions, newest first."""
    rows = await database.fetch(
        f"SELECT {_FIELDS} FROM auth.sessions s JOIN auth.keys k ON k.id = s.key_id"
        " WHERE s.account_id = $1 AND k.revoked_at IS NULL"
        " AND least(s.expires_at, k.expires_at) > now() ORDER BY s.created_at DESC, s.id",
        account_id,
    )
    return [Session(**dict(row)) for row in rows]


async def get(database: Database, account_id: str, session_id: str) -> Session:
    found = [each for each in await list_current(database, account_id) if each.id == session_id]
    if not found:
        raise SessionNotFound(session_id)
    return found[0]


async def end(database: Database, account_id: str, session_id: str) -> None:
    row = await database.fetchrow(
        "WITH ended AS (DELETE FROM auth.sessions WHERE account_id = $1 AND id = $2 RETURNING id)"
        " UPDATE auth.accounts SET epoch = epoch + 1"
        " WHERE id = $1 AND EXISTS (SELECT FROM ended) RETURNING id",
        account_id,
        session_id,
    )
    if row is None:
        raise SessionNotFound(session_id)


async def end_all(database: Database, account_id: str) -> list[str]:
    """Ends every session of the account; answers their ids."""
    rows = await database.fetch(
        "WITH ended AS (DELETE FROM auth.sessions WHERE account_id = $1 RETURNING id), changed AS ("
        "  UPDATE auth.accounts SET epoch = epoch + 1 WHERE id = $1"
        ") SELECT id FROM ended",
        account_id,
    )
    return [row["id"] for row in rows]
