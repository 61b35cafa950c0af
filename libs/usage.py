"""What each account does, counted by day: collected in the process and written in batches; no request waits.

A crash loses what was counted since the last batch, a minute at most; a batch whose COMMIT was cut off may
count twice. The numbers inform, they decide nothing.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from prometheus_client import Counter
from starlette.requests import Request
from starlette.responses import Response

from libs import errors
from libs.database import Database, DatabaseUnavailable
from libs.errors import ApiError
from libs.identity import SCOPE, Identity

MAX_ENTRIES: Final = 100_000  # while PostgreSQL is away; some 20 MB
BATCH_ROWS: Final = 2_000  # a statement
KEPT_DAYS: Final = 400
REFUSED: Final = "refused."  # and the public code of the error

DROPPED: Final = Counter(
    "usage_dropped_total", "Counts that were given up: too many while PostgreSQL was away"
)
FLUSHES: Final = Counter("usage_flushes_total", "Batches of counts by how they ended", ["end"])

log = logging.getLogger(__name__)

Entry = tuple[str, date, str]  # account, day in UTC, name
Days = dict[date, dict[str, int]]


class Usage:
    """Counters by account, day and name; the table `usage` of the service's schema keeps them."""

    def __init__(self, database: Database, every_seconds: float, max_entries: int = MAX_ENTRIES) -> None:
        self._database = database
        self._every_seconds = every_seconds
        self._max_entries = max_entries
        self._counts: dict[Entry, int] = {}
        self._stopped = asyncio.Event()
        self._tidied: date | None = None

    def count(self, account_id: str, name: str, amount: int = 1) -> None:
        """Never waits and never fails."""
        if amount:
            self._add({(account_id, _today(), name): amount})

    def refused(self, account_id: str, code: str) -> None:
        """A call that was answered with this error."""
        self.count(account_id, REFUSED + code)

    async def days(self, account_id: str, first: date, last: date) -> Days:
        """What was written of the days from `first` to `last`; a day without a count is left out."""
        rows = await self._database.fetch(
            "SELECT day, name, count FROM usage"
            " WHERE account_id = $1 AND day BETWEEN $2 AND $3 ORDER BY day, name",
            account_id,
            first,
            last,
        )
        days: Days = {}
        for row in rows:
            days.setdefault(row["day"], {})[row["name"]] = row["count"]
        return days

    async def flush(self) -> None:
        """Writes what was counted; what could not be written stays for the next time."""
        # In one order, or two processes wait for each other.
        batch, self._counts = sorted(self._counts.items()), {}
        for start in range(0, len(batch), BATCH_ROWS):
            try:
                await self._write(batch[start : start + BATCH_ROWS])
            except DatabaseUnavailable:
                FLUSHES.labels("unavailable").inc()
                self._add(dict(batch[start:]))
                return
            except Exception:
                FLUSHES.labels("failed").inc()
                log.exception("counts could not be written")
            else:
                FLUSHES.labels("done").inc()

    async def run(self) -> None:
        """Until `stop`, with a last flush then."""
        while True:
            await self._tidy()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every_seconds):
                    await self._stopped.wait()
            await self.flush()
            if self._stopped.is_set():
                return

    def stop(self) -> None:
        self._stopped.set()

    def _add(self, counts: Mapping[Entry, int]) -> None:
        for entry, amount in counts.items():
            if entry in self._counts or len(self._counts) < self._max_entries:
                self._counts[entry] = self._counts.get(entry, 0) + amount
            else:
                DROPPED.inc(amount)

    async def _write(self, rows: list[tuple[Entry, int]]) -> None:
        await self._database.execute(
            "INSERT INTO usage AS u (account_id, day, name, count)"
            " SELECT * FROM unnest($1::text[], $2::date[], $3::text[], $4::bigint[])"
            " ON CONFLICT (account_id, day, name) DO UPDATE SET count = u.count + excluded.count",
            [account_id for (account_id, _, _), _ in rows],
            [day for (_, day, _), _ in rows],
            [name for (_, _, name), _ in rows],
            [amount for _, amount in rows],
        )

    async def _tidy(self) -> None:
        """Once a day."""
        today = _today()
        if self._tidied == today:
            return
        with contextlib.suppress(DatabaseUnavailable):
            await self._database.execute(
                "DELETE FROM usage WHERE day < $1", today - timedelta(days=KEPT_DAYS)
            )
            self._tidied = today


async def refuse(request: Request[Any], error: Exception) -> Response:
    """Answers an ApiError, and counts it where the caller is known; the service's state has the `usage`."""
    identity = request.scope.get(SCOPE)
    if isinstance(identity, Identity) and isinstance(error, ApiError) and not identity.dashboard:
        request.state["usage"].refused(identity.account_id, error.problem.code)
    return await errors.handle(request, error)


async def forget(database: Database, account_id: str) -> None:
    """Deletes all that was counted of an account."""
    await database.execute("DELETE FROM usage WHERE account_id = $1", account_id)


@contextlib.asynccontextmanager
async def open_usage(database: Database, every_seconds: float) -> AsyncGenerator[Usage]:
    """Counting for as long as the service runs; what is left is written at the end."""
    usage = Usage(database, every_seconds)
    running = asyncio.create_task(usage.run())
    try:
        yield usage
    finally:
        usage.stop()
        await running


def _today() -> date:
    return datetime.now(UTC).date()
