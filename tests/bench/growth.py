"""A million records and a hundred thousand cached variants, beside a stack that has none."""

import asyncio
import subprocess
from typing import Any, Final, cast

import asyncpg

from deploy.local import postgres
from libs.database import Database
from services.ingest.images import Images
from tests.bench.copies import Copies
from tests.bench.figures import Figures
from tests.bench.load import drive
from tests.bench.pace import ask
from tests.bench.progress import say
from tests.bench.setting import Setting
from tests.e2e import calls
from tests.stack import Stack, discard

RECORDS: Final = 1_000_000
VARIANTS: Final = 100_000
PICTURES: Final = 2_000
HITS: Final = "hits after growth"
COLD: Final = "cold 150x150 JPEG after growth"
LISTING: Final = "listing a user's images, of 1,000,000 records"
COLD_RATE: Final = 2_500

# A thousand accounts of a thousand pictures; in each, one user has two hundred of them and the others five.
INSERT: Final = """
INSERT INTO images (image_id, account_id, user_id, status, width, height, file_size, created_at)
SELECT 'img_' || lpad(to_hex(n), 16, '0'), 'acc_' || n % 1000,
       CASE WHEN n / 1000 % 5 = 0 THEN 'many' ELSE 'user_' || n / 1000 % 160 END,
       'ready', 800, 600, 245000, now() - n * interval '1 second'
FROM generate_series(1, $1::bigint) AS n
"""


class Explained:
    """A Database whose every query is explained instead."""

    def __init__(self, connection: "asyncpg.Connection[Any]") -> None:
        self._connection = connection
        self.plan = ""

    async def fetch(self, query: str, *arguments: object) -> list[Any]:
        rows = await self._connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS) {query}", *arguments)
        self.plan = "\n".join(row[0] for row in rows)
        return []


def measure(at: Setting, figures: Figures, rounds: int) -> str:
    """Fills a fresh stack, and drives it and an empty one in turn. Returns the plan of the listing."""
    root = at.root / "grown"
    grown = Stack(root)
    try:
        photo = at.photos["6 MP"]
        with calls.client(grown, grown.create_account("unlimited")) as api:
            image_id = calls.upload(api, photo.file.read_bytes())["image_id"]
        copies = Copies(grown.state.home / "objects", image_id)
        plan = asyncio.run(_records(grown, figures))
        say(f"{VARIANTS:,} variants into the cache")
        ids = copies.make(PICTURES)
        sides = range(16, 16 + VARIANTS // PICTURES)
        ask(grown.port, [f"/{each}?w={side}" for each in ids for side in sides])
        cached = int(
            subprocess.check_output(["find", str(grown.state.home / "cache"), "-type", "f"]).count(b"\n")
        )
        figures.add(HITS, "grown", "variants in the cache", cached)
        warm = {"grown": [f"/{each}?w=40" for each in ids[:500]], "empty": []}
        warm["empty"] = [f"/{each}?w=40" for each in photo.copies.make(500)]
        stacks = {"grown": (grown, copies), "empty": (at.stack, photo.copies)}
        for name, (stack, _) in stacks.items():
            ask(stack.port, warm[name])
        for _ in range(rounds):
            for name, (stack, own) in stacks.items():
                figures.add(
                    HITS, name, "requests/s", drive([stack.port], warm[name], at.seconds, loop=True).rate
                )
                paths = [f"/{each}?w=150&h=150" for each in own.make(COLD_RATE * at.seconds)]
                figures.add(COLD, name, "requests/s", drive([stack.port], paths, at.seconds).rate)
    finally:
        grown.stop()
        discard(root)
    return plan


async def _records(stack: Stack, figures: Figures) -> str:
    say(f"{RECORDS:,} records")
    connection = await asyncpg.connect(postgres.url(stack.state))
    try:
        await connection.execute("SET search_path TO ingest, public")
        await connection.execute(INSERT, RECORDS)
        await connection.execute("ANALYZE images")
        explained = Explained(connection)
        images = Images(cast("Database", explained))
        for _ in range(5):
            await images.page("acc_7", "many", 20, None)
            line = explained.plan.splitlines()[-1]
            figures.add(LISTING, "PostgreSQL", "ms", float(line.split()[2]))
        return explained.plan
    finally:
        await connection.close()
