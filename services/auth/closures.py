"""Deleting an account and everything in it: keys and sessions first, then what ingest has."""

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from typing import Final

import msgspec
from prometheus_client import Counter, Gauge

from libs import usage
from libs.database import Database, DatabaseUnavailable, Row
from libs.errors import Unavailable
from services.auth.accounts import AccountNotFound
from services.auth.changes import Changes
from services.auth.ingest import Ingest, IngestUnavailable, Purged

LEASE: Final = timedelta(seconds=15)  # nobody else goes on with one that was taken this lately
WATCH: Final = timedelta(minutes=5)  # longer than a process writes what it counted of a key that it believes
AT_ONCE: Final = 10

ROUNDS: Final = Counter("closure_rounds_total", "Looks at deletions of accounts by how they ended", ["end"])
BACKLOG: Final = Gauge("closures_pending", "Deleted accounts of which ingest has something left")

log = logging.getLogger(__name__)


class Receipt(msgspec.Struct, frozen=True):
    """`keys` and `sessions`: those that have ended; `purged`: what ingest has removed by now."""

    account_id: str
    keys: int
    sessions: int
    purged: Purged


class Closure(msgspec.Struct, frozen=True):
    """An account that is deleted."""

    account_id: str
    request_id: str
    keys: int
    sessions: int
    ended_ids: tuple[str, ...] = ()  # of keys and sessions, to the one who ended them


class Closures:
    """What is begun is finished, whatever crashes: a row says what is left to do."""

    def __init__(self, database: Database, changes: Changes, ingest: Ingest) -> None:
        self._database = database
        self._changes = changes
        self._ingest = ingest

    async def close(self, account_id: str, request_id: str) -> Receipt:
        """Deletes the account. Raises DatabaseUnavailable where nothing has changed, and AccountNotFound.

        A request that nginx sends again, because the process that took it died, goes on with the first one.
        Where ingest is away, that is no reason to keep the keys: the rest is done later.
        """
        closure = await begin(self._database, account_id, request_id)
        await self._changes.announce(account_id, *closure.ended_ids)
        try:
            purged = await self._purge(closure)
        except Unavailable:
            purged = Purged()
        return Receipt(account_id, closure.keys, closure.sessions, purged)

    async def run(self, every_seconds: float) -> None:
        """For ever, until cancelled: goes on with what is left. The processes share the work by row locks."""
        while True:
            await asyncio.sleep(every_seconds)
            try:
                await self.go_on()
            except Unavailable as error:
                ROUNDS.labels("unavailable").inc()
                log.warning("deletions of accounts wait", extra={"reason": repr(error.__cause__)})
            except Exception:
                # A defect must not end the task: the next round tries again, and the counter tells.
                ROUNDS.labels("failed").inc()
                log.exception("deletions of accounts failed")
            else:
                ROUNDS.labels("done").inc()

    async def go_on(self) -> None:
        rows = await self._database.fetch(
            "UPDATE auth.closures SET next_attempt_at = now() + $1 WHERE account_id IN ("
            "  SELECT account_id FROM auth.closures WHERE next_attempt_at <= now()"
            "  ORDER BY next_attempt_at LIMIT $2 FOR UPDATE SKIP LOCKED)"
            " RETURNING account_id, request_id, keys, sessions,"
            " purged_at IS NOT NULL AS purged, requested_at < now() - $3::interval AS over",
            LEASE,
            AT_ONCE,
            WATCH,
        )
        await asyncio.gather(*map(self._go_on, rows))
        pending = await self._database.fetchrow("SELECT count(*) FROM auth.closures WHERE purged_at IS NULL")
        BACKLOG.set(pending[0] if pending else 0)

    async def _go_on(self, row: Row) -> None:
        closure = Closure(row["account_id"], row["request_id"], row["keys"], row["sessions"])
        # Again: the process that began may have died before it could say so.
        await self._changes.announce(closure.account_id)
        if not row["purged"]:
            with suppress(IngestUnavailable):
                await self._purge(closure)
        elif row["over"]:
            await usage.forget(self._database, closure.account_id)
            await self._database.execute(
                "DELETE FROM auth.closures WHERE account_id = $1", closure.account_id
            )

    async def _purge(self, closure: Closure) -> Purged:
        purged = await self._ingest.delete_account(closure.account_id, closure.request_id)
        if purged.complete:
            with suppress(DatabaseUnavailable):  # then it is asked once more
                await self._database.execute(
                    "UPDATE auth.closures SET purged_at = now() WHERE account_id = $1", closure.account_id
                )
        return purged


async def begin(database: Database, account_id: str, request_id: str, lease: timedelta = LEASE) -> Closure:
    """Deletes the account, its keys and its sessions; a row says that the rest is to do, after `lease`."""
    async with database.connection() as connection, connection.transaction():
        found = await connection.fetchrow("SELECT FROM auth.accounts WHERE id = $1 FOR UPDATE", account_id)
        if found is None:
            begun = await connection.fetchrow(
                "SELECT account_id, request_id, keys, sessions FROM auth.closures"
                " WHERE account_id = $1 AND request_id = $2",
                account_id,
                request_id,
            )
            if begun is None:
                raise AccountNotFound(account_id)
            return Closure(**dict(begun))
        sessions = await connection.fetch(
            "DELETE FROM auth.sessions WHERE account_id = $1 RETURNING id", account_id
        )
        keys = await connection.fetch(
            "DELETE FROM auth.keys WHERE account_id = $1 RETURNING id, revoked_at IS NULL AS valid",
            account_id,
        )
        await connection.execute("DELETE FROM auth.usage WHERE account_id = $1", account_id)
        await connection.execute("DELETE FROM auth.accounts WHERE id = $1", account_id)
        ids = [row["id"] for row in keys if row["valid"]] + [row["id"] for row in sessions]
        closure = Closure(account_id, request_id, len(ids) - len(sessions), len(sessions), tuple(ids))
        await connection.execute(
            "INSERT INTO auth.closures (account_id, request_id, keys, sessions, next_attempt_at)"
            " VALUES ($1, $2, $3, $4, now() + $5)",
            account_id,
            request_id,
            closure.keys,
            closure.sessions,
            lease,
        )
    return closure
