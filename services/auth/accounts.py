"""Accounts in PostgreSQL, and whose key or session is whose."""

import secrets
from datetime import datetime

import msgspec

from libs.database import Database, Queries, Row
from libs.errors import InvalidApiKey


class Caller(msgspec.Struct, frozen=True):
    """Who holds a key or a session. `epoch`: the account's, as it was read; `expires_at`: seconds since 1970.

    A session has the key that it was made with, and ends no later than that.
    """

    account_id: str
    key_id: str
    plan: str
    suspended: bool
    expires_at: float | None
    epoch: str
    session_id: str | None = None
    revoked: bool = False

    def usable(self, now: float) -> bool:
        return not self.suspended and not self.expired(now)

    def expired(self, now: float) -> bool:
        return self.expires_at is not None and self.expires_at <= now


class Account(msgspec.Struct, frozen=True):
    """An account as its owner and operators see it."""

    id: str
    name: str
    email: str | None
    plan: str
    status: str
    created_at: datetime


class AccountNotFound(InvalidApiKey):
    """No such account: to a caller who was let in with a key of it, that key is one no more."""

    def __init__(self, account_id: str) -> None:
        super().__init__(sent=True)
        self.account_id = account_id


FIELDS = "id, name, email, plan, status, created_at"


async def find(database: Database, digest: bytes) -> Caller | None:
    """Who holds the key, or who held it until it was revoked, or the session with this digest.

    One question for both: their texts differ in form, so no digest can be one of each.
    """
    row = await database.fetchrow(
        "SELECT a.id AS account_id, a.plan, a.status, a.epoch,"
        " found.key_id, found.session_id, found.expires_at, found.revoked"
        " FROM ("
        "  SELECT account_id, id AS key_id, NULL AS session_id, expires_at,"
        "  revoked_at IS NOT NULL AS revoked FROM auth.keys WHERE hash = $1"
        "  UNION ALL"
        "  SELECT s.account_id, s.key_id, s.id, least(s.expires_at, k.expires_at), false"
        "  FROM auth.sessions s JOIN auth.keys k ON k.id = s.key_id"
        "  WHERE s.hash = $1 AND k.revoked_at IS NULL"
        " ) found JOIN auth.accounts a ON a.id = found.account_id",
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
        session_id=row["session_id"],
        revoked=row["revoked"],
    )


async def create(queries: Queries, *, name: str, email: str | None, plan: str) -> Account:
    """A new account."""
    row = await queries.fetchrow(
        f"INSERT INTO auth.accounts (id, name, email, plan) VALUES ($1, $2, $3, $4) RETURNING {FIELDS}",
        f"acct_{secrets.token_hex(8)}",
        name,
        email,
        plan,
    )
    if row is None:
        raise AssertionError("an insert answers its row")
    return Account(**dict(row))


async def get(database: Database, account_id: str) -> Account:
    row = await database.fetchrow(f"SELECT {FIELDS} FROM auth.accounts WHERE id = $1", account_id)
    return _found(row, account_id)


async def rename(database: Database, account_id: str, name: str) -> Account:
    row = await database.fetchrow(
        f"UPDATE auth.accounts SET name = $2 WHERE id = $1 RETURNING {FIELDS}", account_id, name
    )
    return _found(row, account_id)


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


async def list_accounts(database: Database) -> list[tuple[Account, int]]:
    """All accounts, oldest first, each with the number of its keys that are not revoked."""
    rows = await database.fetch(
        "SELECT a.id, a.name, a.email, a.plan, a.status, a.created_at,"
        " count(k.id) FILTER (WHERE k.revoked_at IS NULL) AS keys"
        " FROM auth.accounts a LEFT JOIN auth.keys k ON k.account_id = a.id"
        " GROUP BY a.id ORDER BY a.created_at, a.id"
    )
    return [(Account(**{name: row[name] for name in Account.__struct_fields__}), row["keys"]) for row in rows]


def _found(row: Row | None, account_id: str) -> Account:
    if row is None:
        raise AccountNotFound(account_id)
    return Account(**dict(row))
