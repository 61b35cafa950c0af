"""The janitor: goes on with what a crash, a hung node or a store that was away left undone."""

import asyncio
import logging
import time
from typing import Final

from prometheus_client import Counter, Gauge

from libs.errors import Unavailable
from libs.metrics import counter
from services.ingest.deletions import Deletions
from services.ingest.images import Images

ROUNDS: Final = counter(
    "janitor_rounds_total", "Rounds by how they ended", end=("done", "unavailable", "failed")
)
LAST: Final = Gauge("janitor_last_round_timestamp_seconds", "When the last whole round ended")
STALE: Final = Counter(
    "janitor_stale_uploads_total", "Uploads that never ended, whose traces were taken over"
)

ROUND_BATCHES: Final = 50  # of a backlog that grows faster than it is worked off, the rest comes later

log = logging.getLogger(__name__)


class Janitor:
    """One in every ingest process; they share the work by row locks, and a round that fails is repeated."""

    def __init__(self, images: Images, deletions: Deletions, seconds: float, pending_seconds: float) -> None:
        self._images = images
        self._deletions = deletions
        self._seconds = seconds
        self._pending_seconds = pending_seconds

    async def run(self) -> None:
        """For ever, until cancelled."""
        while True:
            await asyncio.sleep(self._seconds)
            try:
                await self.round()
            except Unavailable as error:
                ROUNDS.labels("unavailable").inc()
                log.warning("janitor waits", extra={"reason": repr(error.__cause__)})
            except Exception:
                # A defect must not end the janitor: the next round tries again, and the counter tells.
                ROUNDS.labels("failed").inc()
                log.exception("janitor failed")

    async def round(self) -> None:
        stale = await self._deletions.mark_stale(self._pending_seconds)
        STALE.inc(stale)
        await self._images.forget_old_keys()
        await self._images.forget_closed()
        for _ in range(ROUND_BATCHES):
            if not await self._deletions.retry_due():
                break
        await self._deletions.count_backlog()
        await self._images.count_pending()
        ROUNDS.labels("done").inc()
        LAST.set(time.time())
