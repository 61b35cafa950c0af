"""The keys of an account in PostgreSQL: made, listed, rotated, revoked."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from libs.database import Connection, Database, Queries
from services.auth import keys
from services.auth.accounts import AccountNotFound

MAX_KEYS: Final = 100  # an account; those that are revoked or expired do not count
LISTED_DAYS: Final = 30  # after its end an expired key is listed for so long

_FIELDS: Final = "id, name, created_at, last_used_at, expires_at, revoked_at, hint"
_LIVE: Final = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())"


class Key(msgspec.Struct, frozen=True):
    """What is kept of a key, without the key. `hint`: its last characters."""

    id: str
    name: str
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    hint: str | None


class Rotation(msgspec.Struct, frozen=True):
    """`new` with its `api_key`, and `old`, which ends when the grace does."""

    new: Key
    api_key: str
    old: Key


class KeyNotFound(Exception):
    """No such key of this account, or it has ended already."""


class TooManyKeys(Exception):
    """The account has MAX_KEYS keys."""


async def create(
    queries: Queries, account_id: str, *, name: str, expires_at: datetime | None = None
) -> tuple[Key, str]:
    """A new key of the account, and the text of it for the only time."""
    key = keys.new_key()
    row = await queries.fetchrow(
        "INSERT INTO auth.keys (id, account_id, hash, name, expires_at, hint)"
        f" SELECT $1, id, $3, $4, $5, $6 FROM auth.accounts WHERE id = $2 RETURNING {_FIELDS}",
        keys.new_key_id(),
        account_id,
        keys.digest(key),
        name,
        expires_at,
        keys.hint(key),
    )
    if row is None:
        raise AccountNotFound(account_id)
    return Key(**dict(row)), key


async def create_one_more(
    database: Database, account_id: str, *, name: str, expires_at: datetime | None
) -> tuple[Key, str]:
    """As `create`, where the account has less than MAX_KEYS."""
    async with database.connection() as connection, connection.transaction():
        await _lock(connection, account_id)
        await _check_room(connection, account_id)
        return await create(connection, account_id, name=name, expires_at=expires_at)


async def rotate(database: Database, account_id: str, key_id: str, grace: timedelta) -> Rotation:
    """A new key with the name and the lifetime of this one, which is valid for `grace` longer at most.

    Without grace the old one is revoked.
    """
    async with database.connection() as connection, connection.transaction():
        await _lock(connection, account_id)
        row = await connection.fetchrow(
            f"SELECT {_FIELDS} FROM auth.keys WHERE id = $1 AND account_id = $2 AND {_LIVE}",
            key_id,
            account_id,
        )
        if row is None:
            raise KeyNotFound(key_id)
        before = Key(**dict(row))
        old = await connection.fetchrow(
            "UPDATE auth.keys SET expires_at = least(expires_at, now() + $2),"
            " revoked_at = CASE WHEN $2 = interval '0' THEN now() END"
            f" WHERE id = $1 RETURNING {_FIELDS}, now() AS at",
            key_id,
            grace,
        )
        if old is None:
            raise KeyNotFound(key_id)
        if not grace:
            await connection.execute("DELETE FROM auth.sessions WHERE key_id = $1", key_id)
        await _check_room(connection, account_id)
        expires_at = None
        if before.expires_at is not None:
            expires_at = old["at"] + (before.expires_at - before.created_at)
        new, api_key = await create(connection, account_id, name=before.name, expires_at=expires_at)
        await connection.execute("UPDATE auth.accounts SET epoch = epoch + 1 WHERE id = $1", account_id)
    return Rotation(new, api_key, Key(**{name: old[name] for name in Key.__struct_fields__}))


async def revoke(database: Database, key_id: str, account_id: str | None = None) -> str:
    """Revokes the key (of this account) and ends its sessions; answers its account's id."""
    row = await database.fetchrow(
        "WITH revoked AS ("
        "  UPDATE auth.keys SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL"
        "  AND ($2::text IS NULL OR account_id = $2) RETURNING id, account_id"
        "), ended AS (DELETE FROM auth.sessions WHERE key_id = (SELECT id FROM revoked))"
        " UPDATE auth.accounts SET epoch = epoch + 1"
        " WHERE id = (SELECT account_id FROM revoked) RETURNING id",
        key_id,
        account_id,
    )
    if row is None:
        raise KeyNotFound(key_id)
    return str(row["id"])


async def find(database: Database, digest: bytes) -> tuple[Key, str] | None:
    """The key with this digest and its account's id, revoked or not; None where it was never one of ours."""
    row = await database.fetchrow(f"SELECT {_FIELDS}, account_id FROM auth.keys WHERE hash = $1", digest)
    if row is None:
        return None
    return Key(**{name: row[name] for name in Key.__struct_fields__}), row["account_id"]


async def list_all(database: Database, account_id: str) -> list[Key]:
    """All keys that the account ever had, oldest first."""
    rows = await database.fetch(
        f"SELECT {_FIELDS} FROM auth.keys WHERE account_id = $1 ORDER BY created_at, id", account_id
    )
    return [Key(**dict(row)) for row in rows]


async def list_current(database: Database, account_id: str) -> list[Key]:
    """The account's keys that are not revoked, oldest first; of the expired, those of the last month."""
    rows = await database.fetch(
        f"SELECT {_FIELDS} FROM auth.keys WHERE account_id = $1 AND revoked_at IS NULL"
        " AND (expires_at IS NULL OR expires_at > now() - $2::interval) ORDER BY created_at, id",
        account_id,
        timedelta(days=LISTED_DAYS),
    )
    return [Key(**dict(row)) for row in rows]


async def record_uses(database: Database, uses: Mapping[str, datetime]) -> None:
    """`uses`: id of a key or of a session to the time of its last use."""
    await database.execute(
        "WITH used AS (SELECT * FROM unnest($1::text[], $2::timestamptz[]) AS u (id, at)),"
        " sessions AS ("
        "  UPDATE auth.sessions s SET last_used_at = greatest(s.last_used_at, used.at)"
        "  FROM used WHERE s.id = used.id"
        " )"
        " UPDATE auth.keys k SET last_used_at = greatest(k.last_used_at, used.at)"
        " FROM used WHERE k.id = used.id",
        list(uses),
        list(uses.values()),
    )


async def _lock(connection: "Connection[Any]", account_id: str) -> None:
    """So that two at once are counted one after the other."""
    await connection.execute("SELECT FROM auth.accounts WHERE id = $1 FOR UPDATE", account_id)


async def _check_room(connection: "Connection[Any]", account_id: str) -> None:
    count = await connection.fetchval(
        f"SELECT count(*) FROM auth.keys WHERE account_id = $1 AND {_LIVE}", account_id
    )
    if count >= MAX_KEYS:
        raise TooManyKeys
