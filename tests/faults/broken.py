"""A stack with handles to break its parts by, and to look at what is left."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import asyncpg
import psutil

from deploy.local import postgres
from libs.pictures import FULL, rungs
from tests.records import MISCOUNTED
from tests.stack import Stack, wait_for

# A crash is cleaned up within seconds: the records that an upload left count as stale early. One picture may
# be asked for in any number of sizes.
QUICK: Final = {
    "JANITOR_SECONDS": "0.5",
    "PENDING_SECONDS": "4",
    "USAGE_SECONDS": "60",  # the commits that a test counts are an upload's
    "BOX_WORKERS": "1",
    "PICTURE_BUDGET_SECONDS": "1e6",
}


class Breakable(Stack):
    """`stack` as `make run` starts it."""

    def sql(self, query: str, *values: object) -> list[asyncpg.Record]:
        """Rows of PostgreSQL, in ingest's schema."""
        return asyncio.run(_fetch(postgres.url(self.state), query, values))

    @contextlib.contextmanager
    def down(self, program: str) -> Iterator[None]:
        """Its processes stopped, for as long as the block runs."""
        names = self.names(program)
        for name in names:
            self.supervisor.stop(name)
        try:
            yield
        finally:
            for name in names:
                self.supervisor.start(name)
            for name in names:
                self.wait_until_ready(name)
            self.wait_until_whole()

    @contextlib.contextmanager
    def hung(self, program: str) -> Iterator[None]:
        """Its processes accept connections and do nothing, for as long as the block runs."""
        processes = [psutil.Process(pid) for pid in self.pids(program)]
        children = [child for process in processes for child in process.children(recursive=True)]
        try:
            with stopped([*processes, *children]):
                yield
        finally:
            self.wait_until_whole()

    def terminate_and_wait(self, name: str, number: signal.Signals) -> None:
        """Sends the signal to one process, and waits until the supervisor's next one is ready."""
        pid = self.supervisor.pid(name)
        assert pid
        os.kill(pid, number)
        wait_for(lambda: self.supervisor.pid(name) not in (None, pid), 60)
        self.wait_until_ready(name)

    def wait_until_whole(self) -> None:
        """Until every process of every service is ready again."""
        for service in ("auth", "ingest", "transform"):
            for name in self.names(service):
                self.wait_until_ready(name)

    @property
    def objects(self) -> Path:
        return self.state.home / "objects"

    def stored_ids(self) -> set[str]:
        """The pictures of which the folder holds any object."""
        return {
            path.name for kind in ("originals", "renditions") for path in self.objects.glob(f"{kind}/*/*")
        }

    def lacks_objects(self, image_id: str, width: int, height: int) -> bool:
        """Whether any object of a picture of this size is missing."""
        shard = image_id[-2:]
        names = [FULL, *(rung.name for rung, _, _ in rungs(width, height))]
        paths = [self.objects / "renditions" / shard / image_id / name for name in names]
        return not all(path.is_file() for path in [self.objects / "originals" / shard / image_id, *paths])

    def incomplete(self) -> list[str]:
        """Pictures whose record is ready and of which an object is missing."""
        rows = self.sql("SELECT image_id, width, height FROM images WHERE status = 'ready'")
        return [
            row["image_id"]
            for row in rows
            if self.lacks_objects(row["image_id"], row["width"], row["height"])
        ]

    def miscounted(self) -> list[dict[str, object]]:
        """Accounts whose counters of what is stored are not what a count says."""
        return [dict(row) for row in self.sql(MISCOUNTED)]

    def defects(self, service: str) -> list[str]:
        """What its processes have logged as unhandled: each would have been a 500."""
        return [line for line in self.log(service).splitlines() if '"defect"' in line]

    def orphans(self) -> set[str]:
        """What is stored or pending, and of no record that is ready."""
        rows = self.sql("SELECT image_id, status FROM images")
        ready = {row["image_id"] for row in rows if row["status"] == "ready"}
        return (self.stored_ids() | {row["image_id"] for row in rows}) - ready


@contextlib.contextmanager
def stopped(processes: list[psutil.Process]) -> Iterator[None]:
    """They do nothing for as long as the block runs; it may end some of them."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()
    try:
        yield
    finally:
        for process in reversed(processes):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


async def _fetch(url: str, query: str, values: tuple[Any, ...]) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url, server_settings={"search_path": "ingest"}, timeout=10)
    try:
        rows: list[asyncpg.Record] = await connection.fetch(query, *values)
        return rows
    finally:
        await connection.close()
