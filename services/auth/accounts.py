"""Accounts and their keys in PostgreSQL: the SQL of auth."""

import secrets
from collections.abc import Mapping
from datetime import datetime

import msgspec

from libs.database import Database
from services.auth import keys


class Caller(msgspec.Struct, frozen=True):
    """Who holds a key. `epoch`: the account's, as it was read; `expires_at`: seconds since 1970."""

    account_id: str
    key_id: str
    plan: str
    suspended: bool
    expires_at: float | None
    epoch: str

    def usable(self, now: float) -> bool:
        return not self.suspended and not self.expired(now)

    def expired(self, now: float) -> bool:
        return self.expires_at is not None and self.expires_at <= now


class Account(msgspec.Struct, frozen=True):
    """An account as operators see it."""

    id: str
    name: str
    email: str | None
    plan: str
    status: str
    created_at: datetime
    keys: int


class Key(msgspec.Struct, frozen=True):
    """What is kept of a key, without the key."""

    id: str
    name: str
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


class KeyNotFound(Exception):
    """No such key, or it is revoked already."""


class AccountNotFound(Exception):
    """No such account."""


async def find(database: Database, digest: bytes) -> Caller | None:
    """Who holds the key with this digest; None where it is unknown or revoked."""
    row = await database.fetchrow(
        "SELECT a.id AS account_id, k.id AS key_id, a.plan, a.status, k.expires_at, a.epoch"
        " FROM auth.keys k JOIN auth.accounts a ON a.id = k.account_id"
        " WHERE k.hash = $1 AND k.revoked_at IS NULL",
        digest,
    )
    if row is None:
        return None
    return Caller(
        account_id=row["account_id"],
        key_id=row["key_id"],
        plan=row["plan"],
        suspended=row["status"] == "suspended",
        expires_at=row["expires_at"].timestamp() if row["expires_at"] else None,
        epoch=str(row["epoch"]),
    )


async def create(database: Database, *, name: str, email: str | None, plan: str) -> str:
    """A new account; answers its id."""
    account_id = f"acct_{secrets.token_hex(8)}"
    await database.execute(
        "INSERT INTO auth.accounts (id, name, email, plan) VALUES ($1, $2, $3, $4)",
        account_id,
        name,
        email,
        plan,
    )
    return account_id


async def create_key(
    database: Database, account_id: str, *, name: str, expires_at: datetime | None = None
) -> tuple[str, str]:
    """A new key of the account: its id, and the key itself for the only time."""
    key, key_id = keys.new_key(), keys.new_key_id()
    row = await database.fetchrow(
        "INSERT INTO auth.keys (id, account_id, hash, name, expires_at)"
        " SELECT $1, id, $3, $4, $5 FROM auth.accounts WHERE id = $2 RETURNING id",
        key_id,
        account_id,
        keys.digest(key),
        name,
        expires_at,
    )
    if row is None:
        raise AccountNotFound(account_id)
    return key_id, key


async def revoke_key(database: Database, key_id: str) -> str:
    """Revokes the key; answers its account's id."""
    row = await database.fetchrow(
        "WITH revoked AS ("
        "  UPDATE auth.keys SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING account_id"
        ") UPDATE auth.accounts SET epoch = epoch + 1"
        " WHERE id = (SELECT account_id FROM revoked) RETURNING id",
        key_id,
    )
    if row is None:
        raise KeyNotFound(key_id)
    return str(row["id"])


async def set_plan(database: Database, account_id: str, plan: str) -> None:
    row = await database.fetchrow(
        "UPDATE auth.accounts SET plan = $2, epoch = epoch + 1 WHERE id = $1 RETURNING id", account_id, plan
    )
    if row is None:
        raise AccountNotFound(account_id)


async def set_status(database: Database, account_id: str, status: str) -> None:
    """`status`: active or suspended."""
    row = await database.fetchrow(
        "UPDATE auth.accounts SET status = $2, epoch = epoch + 1 WHERE id = $1 RETURNING id",
        account_id,
        status,
    )
    if row is None:
        raise AccountNotFound(account_id)


async def list_accounts(database: Database) -> list[Account]:
    """All accounts, oldest first, with the number of their keys that are not revoked."""
    rows = await database.fetch(
        "SELECT a.id, a.name, a.email, a.plan, a.status, a.created_at,"
        " count(k.id) FILTER (WHERE k.revoked_at IS NULL) AS keys"
        " FROM auth.accounts a LEFT JOIN auth.keys k ON k.account_id = a.id"
        " GROUP BY a.id ORDER BY a.created_at, a.id"
    )
    return [Account(**dict(row)) for row in rows]


async def record_uses(database: Database, uses: Mapping[str, datetime]) -> None:
    """`uses`: key id to the time of its last use."""
    await database.execute(
        "UPDATE auth.keys k SET last_used_at = greatest(k.last_used_at, u.at)"
        " FROM unnest($1::text[], $2::timestamptz[]) AS u (id, at) WHERE k.id = u.id",
        list(uses),
        list(uses.values()),
    )


async def list_keys(database: Database, account_id: str) -> list[Key]:
    """The account's keys, oldest first."""
    rows = await database.fetch(
        "SELECT id, name, created_at, last_used_at, expires_at, revoked_at FROM auth.keys"
        " WHERE account_id = $1 ORDER BY created_at, id",
        account_id,
    )
    return [Key(**dict(row)) for row in rows]
