"""The janitor's rounds, on a real PostgreSQL."""

import asyncio
from collections.abc import Sequence
from typing import Final

import pytest

from libs.database import Database, DatabaseUnavailable
from libs.objects import Objects
from services.ingest.deletions import Deletions
from services.ingest.edges import Edges
from services.ingest.images import Images
from services.ingest.janitor import ROUND_BATCHES, Janitor

pytestmark = pytest.mark.anyio

PENDING_SECONDS: Final = 300


class Moody(Deletions):
    """Fails as told, one failure a round, and then has `backlog` batches to work off."""

    def __init__(
        self,
        database: Database,
        objects: Objects,
        edges: Edges,
        failures: Sequence[Exception] = (),
        backlog: int = 0,
    ) -> None:
        super().__init__(database, objects, edges)
        self._failures = list(failures)
        self.went_on = asyncio.Event()
        self.backlog = backlog

    async def mark_stale(self, pending_seconds: float) -> int:
        if self._failures:
            raise self._failures.pop()
        self.went_on.set()
        return await super().mark_stale(pending_seconds)

    async def retry_due(self) -> int:
        self.backlog -= 1
        return max(0, self.backlog)


async def test_a_round_does_all_that_is_due(database: Database, images: Images, deletions: Deletions) -> None:
    await images.reserve("img_0000000000000001", "acct_a", "u", 1, "r1")
    await database.execute("UPDATE images SET created_at = now() - interval '301 seconds'")
    await Janitor(images, deletions, 1, PENDING_SECONDS).round()
    assert await database.fetch("SELECT * FROM images") == []
    rows = await database.fetch("SELECT told_at FROM deletions")
    assert [row["told_at"] is not None for row in rows] == [True]


async def test_a_failure_ends_the_round_and_not_the_janitor(
    database: Database, images: Images, objects: Objects, edges: Edges
) -> None:
    moody = Moody(database, objects, edges, [DatabaseUnavailable(), ValueError("a defect")])
    running = asyncio.create_task(Janitor(images, moody, 0.01, PENDING_SECONDS).run())
    async with asyncio.timeout(10):
        await moody.went_on.wait()
    assert not running.done()
    running.cancel()


async def test_a_backlog_without_end_does_not_keep_the_janitor_from_the_rest(
    database: Database, images: Images, objects: Objects, edges: Edges
) -> None:
    moody = Moody(database, objects, edges, backlog=ROUND_BATCHES + 10)
    async with asyncio.timeout(10):
        await Janitor(images, moody, 1, PENDING_SECONDS).round()
    assert moody.backlog == 10
