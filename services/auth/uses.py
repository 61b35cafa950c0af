"""When each key was used last: collected in the process and written in batches, so that no request waits."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from libs.database import DatabaseUnavailable

MAX_KEYS: Final = 100_000  # while PostgreSQL is away

log = logging.getLogger(__name__)

Record = Callable[[Mapping[str, datetime]], Awaitable[None]]


class Uses:
    """Losing the last batch in a crash is accepted: the time of the last use informs, it decides nothing."""

    def __init__(self, record: Record, every_seconds: float) -> None:
        self._record = record
        self._every_seconds = every_seconds
        self._uses: dict[str, datetime] = {}

    def used(self, key_id: str) -> None:
        if len(self._uses) < MAX_KEYS or key_id in self._uses:
            self._uses[key_id] = datetime.now(UTC)

    async def flush(self) -> None:
        """Writes what was collected; keeps it for the next time where PostgreSQL is away."""
        if not self._uses:
            return
        batch, self._uses = self._uses, {}
        try:
            await self._record(batch)
        except DatabaseUnavailable:
            self._uses = batch | self._uses
        except Exception:
            log.exception("last uses could not be written")

    async def flush_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._every_seconds)
            await self.flush()
