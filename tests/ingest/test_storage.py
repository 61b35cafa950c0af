"""How much each account stores: the counters, the limit, and that neither can be got around."""

import asyncio
import random
from pathlib import Path
from typing import Final

import pytest

from libs.database import Database, open_database
from libs.errors import Unavailable
from services.ingest.app import MIGRATIONS
from services.ingest.deletions import Deletions
from services.ingest.idempotency import Attempt
from services.ingest.images import Images, LimitReached, Stored
from tests.records import MISCOUNTED
from tests.servers import PostgresServer

pytestmark = pytest.mark.anyio

ACCOUNT: Final = "acct_a"


def name(number: int) -> str:
    return f"img_{number:016x}"


async def make(images: Images, number: int, *, limit: int | None = None, account: str = ACCOUNT) -> str:
    """A picture of 10 bytes that is ready."""
    assert await images.reserve(name(number), account, "u", 10, f"r{number}", limit=limit) is None
    assert await images.finish(name(number), f"r{number}", 4, 3)
    return name(number)


async def test_an_account_that_has_stored_nothing_has_nothing(images: Images) -> None:
    assert await images.stored(ACCOUNT) == Stored(0, 0)


async def test_an_upload_counts_from_its_reservation_on_and_once(images: Images) -> None:
    await images.reserve(name(1), ACCOUNT, "u", 10, "r1")
    assert await images.stored(ACCOUNT) == Stored(1, 10)
    await images.finish(name(1), "r1", 4, 3)
    await images.reserve(name(2), ACCOUNT, "u", 7, "r2")
    assert await images.stored(ACCOUNT) == Stored(2, 17)
    assert await images.stored("acct_b") == Stored(0, 0)


async def test_what_goes_is_given_back(images: Images, deletions: Deletions, database: Database) -> None:
    for number in range(5):
        await make(images, number)
    await images.reserve(name(10), ACCOUNT, "u", 10, "r10")
    await images.abandon(name(10))
    assert await images.stored(ACCOUNT) == Stored(5, 50)
    await deletions.image(ACCOUNT, name(0))
    assert await images.stored(ACCOUNT) == Stored(4, 40)
    await images.reserve(name(11), ACCOUNT, "u", 10, "r11")
    await deletions.failed_upload(name(11))
    await images.reserve(name(12), ACCOUNT, "u", 10, "r12")
    await database.execute(
        "UPDATE images SET created_at = now() - interval '1 hour' WHERE status = 'pending'"
    )
    await deletions.mark_stale(300)
    assert await images.stored(ACCOUNT) == Stored(4, 40)
    await deletions.user(ACCOUNT, "u", "r")
    assert await images.stored(ACCOUNT) == Stored(0, 0)


async def test_one_more_than_the_limit_is_refused_and_leaves_nothing(
    images: Images, database: Database
) -> None:
    await make(images, 1, limit=2)
    await images.reserve(name(2), ACCOUNT, "u", 10, "r2", limit=2)
    with pytest.raises(LimitReached):
        await images.reserve(name(3), ACCOUNT, "u", 10, "r3", limit=2)
    assert await images.stored(ACCOUNT) == Stored(2, 20)
    await images.abandon(name(2))
    await make(images, 4, limit=2)
    assert len(await database.fetch("SELECT FROM images")) == 2
    await make(images, 5, limit=2, account="acct_b")


async def test_an_account_over_the_limit_of_a_smaller_plan_keeps_what_it_has(
    images: Images, deletions: Deletions
) -> None:
    for number in range(3):
        await make(images, number)
    with pytest.raises(LimitReached):
        await make(images, 4, limit=1)
    await deletions.image(ACCOUNT, name(0))
    assert await images.stored(ACCOUNT) == Stored(2, 20)


async def test_a_request_that_nginx_sends_again_does_not_count_twice(images: Images) -> None:
    await images.reserve(name(1), ACCOUNT, "u", 10, "r1", limit=1)
    assert await images.reserve(name(2), ACCOUNT, "u", 10, "r1", limit=1) is None
    assert await images.stored(ACCOUNT) == Stored(1, 10)
    assert await images.finish(name(2), "r1", 4, 3)
    again = await images.reserve(name(3), ACCOUNT, "u", 10, "r1", limit=1)
    assert again
    assert again.image_id == name(2)
    await images.abandon(name(1))
    assert await images.stored(ACCOUNT) == Stored(1, 10)


async def test_a_retry_with_an_idempotency_key_does_not_count_twice(images: Images) -> None:
    """The first request was cut off: it has left a pending record and no answer."""
    await images.reserve(name(1), ACCOUNT, "u", 10, "r1", key="k", limit=1)
    assert await images.reserve(name(2), ACCOUNT, "u", 10, "r2", key="k", limit=1) is None
    assert await images.stored(ACCOUNT) == Stored(1, 10)
    assert await images.finish(name(1), "r1", 4, 3) is None
    assert await images.finish(name(2), "r2", 4, 3, Attempt("k", b"fingerprint"))
    with pytest.raises(LimitReached):
        await images.reserve(name(3), ACCOUNT, "u", 10, "r3", key="another", limit=1)
    await images.reserve(name(4), "acct_b", "u", 10, "r4", key="k", limit=1)


async def test_uploads_at_once_never_pass_the_limit(images: Images) -> None:
    """The first of an account too, when there is no row to lock."""
    taken = await asyncio.gather(
        *(images.reserve(name(n), ACCOUNT, "u", 10, f"r{n}", limit=5) for n in range(40)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, LimitReached) for one in taken) == 35
    assert sum(one is None for one in taken) == 5
    assert await images.stored(ACCOUNT) == Stored(5, 50)


async def test_the_counters_are_exact_after_everything_at_once(
    images: Images, deletions: Deletions, database: Database
) -> None:
    """Uploads, retries, failures, deletes of pictures and of users, and the janitor; a fixed seed."""
    dice = random.Random(7)

    async def upload(number: int) -> None:
        account, user = f"acct_{number % 3}", f"u{number % 4}"
        request, key = f"r{number // 2}", f"k{number // 5}" if number % 3 else None
        await images.reserve(name(number), account, user, number, request, key=key, limit=30)
        end = dice.choice(["finish", "finish", "finish", "abandon", "fail", "crash"])
        if end == "finish":
            await images.finish(name(number), request, 1, 1, Attempt(key, b"f") if key else None)
        elif end == "abandon":
            await images.abandon(name(number))
        elif end == "fail":
            await deletions.failed_upload(name(number))

    async def clear(number: int) -> None:
        await deletions.image(f"acct_{number % 3}", name(dice.randrange(300)))
        if number % 10 == 0:
            await deletions.user(f"acct_{number % 3}", f"u{dice.randrange(4)}", f"clear {number}")
        if number % 15 == 0:
            await deletions.mark_stale(0)

    for start in range(0, 300, 60):
        works = [upload(n) for n in range(start, start + 60)] + [clear(n) for n in range(start, start + 20)]
        dice.shuffle(works)
        ends = await asyncio.gather(*works, return_exceptions=True)
        assert [e for e in ends if e is not None and not isinstance(e, LimitReached | Unavailable)] == []
        assert await database.fetch(MISCOUNTED) == []
    assert await database.fetch("SELECT FROM storage WHERE images > 0")


async def test_the_migration_counts_what_there_is_already(server: PostgresServer, tmp_path: Path) -> None:
    url = server.url(server.create_database())
    for file in sorted(MIGRATIONS.glob("*.sql"))[:4]:
        (tmp_path / file.name).write_text(file.read_text())
    async with open_database(url, "ingest", tmp_path, 5) as before:
        await before.execute(
            "INSERT INTO images (image_id, account_id, user_id, status, file_size, request_id)"
            " SELECT 'img_' || n, 'acct_' || n % 2, 'u',"
            " CASE WHEN n % 3 = 0 THEN 'pending' ELSE 'ready' END, n,"
            " CASE WHEN n % 6 <> 0 THEN 'r' || n END FROM generate_series(1, 100) n"
        )
    async with open_database(url, "ingest", MIGRATIONS, 5) as after:
        assert await after.fetch(MISCOUNTED) == []
        assert await Images(after).stored("acct_1") == Stored(50, 2500)
        assert await Images(after).stored("acct_0") == Stored(34, 1734)
