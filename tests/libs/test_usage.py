"""Counting what accounts do, with a real PostgreSQL."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from starlette.requests import Request

from libs import usage as usages
from libs.database import Database, open_database
from libs.errors import ImageNotFound
from libs.identity import SCOPE, Identity
from libs.usage import BATCH_ROWS, DROPPED, KEPT_DAYS, Days, Usage, open_usage
from tests.servers import PostgresServer, running_postgres

pytestmark = pytest.mark.anyio

ACCOUNT: Final = "acct_a"
TABLE: Final = Path("services/ingest/migrations/0006-usage.sql")
NEVER: Final = 3600.0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture
async def database(server: PostgresServer, tmp_path: Path) -> AsyncGenerator[Database]:
    (tmp_path / TABLE.name).write_text(TABLE.read_text())
    async with open_database(server.url(server.create_database()), "example", tmp_path, 1) as database:
        yield database


@pytest.fixture
def usage(database: Database) -> Usage:
    return Usage(database, NEVER)


def today() -> date:
    return datetime.now(UTC).date()


async def written(usage: Usage, account_id: str = ACCOUNT) -> Days:
    return await usage.days(account_id, today() - timedelta(days=1000), today() + timedelta(days=1))


async def test_what_is_counted_is_added_to_the_accounts_day(usage: Usage) -> None:
    for _ in range(2):
        usage.count(ACCOUNT, "images")
        usage.count(ACCOUNT, "images", 2)
        usage.count(ACCOUNT, "deleted", 0)
        usage.refused(ACCOUNT, "QUOTA_EXCEEDED")
        usage.count("acct_b", "images", 50)
        await usage.flush()
    assert await written(usage) == {today(): {"images": 6, "refused.QUOTA_EXCEEDED": 2}}
    assert await written(usage, "acct_b") == {today(): {"images": 100}}


async def test_days_are_those_that_were_asked_for(usage: Usage, database: Database) -> None:
    await database.execute(
        "INSERT INTO usage SELECT $1, '2026-01-01'::date + n, 'images', n FROM generate_series(1, 9) n",
        ACCOUNT,
    )
    days = await usage.days(ACCOUNT, date(2026, 1, 4), date(2026, 1, 5))
    assert days == {date(2026, 1, 4): {"images": 3}, date(2026, 1, 5): {"images": 4}}


async def test_processes_that_write_at_once_lose_nothing(database: Database) -> None:
    writers = [Usage(database, NEVER) for _ in range(6)]
    for number, writer in enumerate(writers):
        for account in range(300):
            writer.count(f"acct_{(account * 7 + number) % 300}", "images")
    await asyncio.gather(*(writer.flush() for writer in writers))
    rows = await database.fetch("SELECT count(*) AS accounts, sum(count) AS images FROM usage")
    assert [tuple(row) for row in rows] == [(300, 1800)]


async def test_a_flush_that_fails_keeps_what_was_counted(usage: Usage, server: PostgresServer) -> None:
    usage.count(ACCOUNT, "images")
    with server.gone():
        await usage.flush()
        usage.count(ACCOUNT, "images")
    await usage.flush()
    assert await written(usage) == {today(): {"images": 2}}


async def test_of_several_batches_only_what_is_not_written_is_kept(
    usage: Usage, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(BATCH_ROWS + 10):
        usage.count(f"acct_{number:09}", "images")
    monkeypatch.setattr(usages, "BATCH_ROWS", BATCH_ROWS // 2)
    await database.execute("ALTER TABLE usage ADD CHECK (account_id < 'acct_000001500')")
    await usage.flush()  # a defect costs its batch
    await database.execute("ALTER TABLE usage RENAME TO elsewhere")
    usage.count("acct_0", "images")
    await usage.flush()  # PostgreSQL is as good as away
    await database.execute("ALTER TABLE elsewhere RENAME TO usage")
    await usage.flush()
    rows = await database.fetch("SELECT count(*) AS accounts, sum(count) AS images FROM usage")
    assert [tuple(row) for row in rows] == [(BATCH_ROWS // 2 + 1, BATCH_ROWS // 2 + 1)]


async def test_while_postgres_is_away_the_memory_is_bounded_and_what_is_known_counts_on(
    database: Database, server: PostgresServer
) -> None:
    usage, dropped = Usage(database, NEVER, max_entries=3), DROPPED._value.get()
    with server.hung():
        for number in range(10):
            usage.count(f"acct_{number}", "images")
        await usage.flush()
        for number in range(10):
            usage.count(f"acct_{number}", "images")
    await usage.flush()
    assert [await written(usage, f"acct_{number}") for number in (0, 2, 3)] == [
        {today(): {"images": 2}},
        {today(): {"images": 2}},
        {},
    ]
    assert DROPPED._value.get() == dropped + 14


async def test_the_last_counts_are_written_when_the_service_ends(database: Database) -> None:
    async with open_usage(database, NEVER) as usage:
        usage.count(ACCOUNT, "images")
    assert await written(usage) == {today(): {"images": 1}}


async def test_counts_are_written_while_the_service_runs(database: Database) -> None:
    async with open_usage(database, 0.01) as usage, asyncio.timeout(30):
        usage.count(ACCOUNT, "images")
        while not await written(usage):  # noqa: ASYNC110 a database tells nobody
            await asyncio.sleep(0.01)


async def test_days_that_nobody_can_ask_for_are_deleted(database: Database) -> None:
    await database.execute(
        "INSERT INTO usage VALUES ($1, $2, 'images', 1), ($1, $3, 'images', 1)",
        ACCOUNT,
        today() - timedelta(days=KEPT_DAYS + 1),
        today() - timedelta(days=KEPT_DAYS),
    )
    async with open_usage(database, NEVER) as usage:
        pass
    assert list(await written(usage)) == [today() - timedelta(days=KEPT_DAYS)]


async def test_a_forgotten_account_has_no_row(usage: Usage, database: Database) -> None:
    for account in (ACCOUNT, "acct_b"):
        usage.count(account, "images")
    await usage.flush()
    await usages.forget(database, ACCOUNT)
    assert [row["account_id"] for row in await database.fetch("SELECT account_id FROM usage")] == ["acct_b"]


@pytest.mark.parametrize(("dashboard", "counted"), [(False, {"refused.IMAGE_NOT_FOUND": 1}), (True, None)])
async def test_a_refusal_counts_for_a_caller_that_is_known(
    usage: Usage, *, dashboard: bool, counted: dict[str, int] | None
) -> None:
    identity = Identity(
        account_id=ACCOUNT, plan="", key_id="", method="", path="", request_id="", dashboard=dashboard
    )
    for known in ({SCOPE: identity}, {}):
        request = Request({"type": "http", "state": {"usage": usage}, **known})
        assert (await usages.refuse(request, ImageNotFound())).status_code == 404
    await usage.flush()
    assert (await written(usage)).get(today()) == counted
