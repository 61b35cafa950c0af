import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from libs.database import Database, DatabaseUnavailable, open_database
from tests.servers import PostgresServer, running_postgres

pytestmark = pytest.mark.anyio

TIMEOUT_SECONDS = 0.5


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def name(server: PostgresServer) -> str:
    return server.create_database()


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001-rows.sql").write_text("CREATE TABLE example.rows (n int)")
    (folder / "0002-row.sql").write_text(
        "INSERT INTO example.rows VALUES (1); INSERT INTO example.rows VALUES (2)"
    )
    return folder


async def rows(database: Database) -> list[int]:
    return [row["n"] for row in await database.fetch("SELECT n FROM rows ORDER BY n")]


async def test_migrations_run_in_order_and_once(server: PostgresServer, name: str, migrations: Path) -> None:
    for _ in range(2):
        async with open_database(server.url(name), "example", migrations, 10) as database:
            await database.ready()
            assert await rows(database) == [1, 2]


async def test_a_new_migration_runs_on_the_next_start(
    server: PostgresServer, name: str, migrations: Path
) -> None:
    async with open_database(server.url(name), "example", migrations, 10):
        pass
    (migrations / "0003-row.sql").write_text("INSERT INTO example.rows VALUES (3)")
    async with open_database(server.url(name), "example", migrations, 10) as database:
        assert await rows(database) == [1, 2, 3]


async def test_processes_that_start_together_migrate_once(
    server: PostgresServer, name: str, migrations: Path
) -> None:
    async def start() -> list[int]:
        async with open_database(server.url(name), "example", migrations, 10) as database:
            return await rows(database)

    assert await asyncio.gather(*(start() for _ in range(6))) == [[1, 2]] * 6


async def test_a_migration_that_fails_leaves_nothing_behind_and_ends_the_start(
    server: PostgresServer, name: str, migrations: Path
) -> None:
    (migrations / "0003-bad.sql").write_text("INSERT INTO example.rows VALUES (3); SELECT 1 / 0")
    with pytest.raises(asyncpg.DivisionByZeroError):
        async with open_database(server.url(name), "example", migrations, 10):
            pass
    assert server.psql(name, "SELECT count(*) FROM pg_namespace WHERE nspname = 'example'") == "0"


async def test_a_defect_in_a_statement_is_not_an_outage(
    server: PostgresServer, name: str, migrations: Path
) -> None:
    async with open_database(server.url(name), "example", migrations, 10) as database:
        with pytest.raises(asyncpg.UniqueViolationError):
            await database.execute("CREATE UNIQUE INDEX ON rows (n); INSERT INTO rows VALUES (1)")
        with pytest.raises(asyncpg.PostgresSyntaxError):
            await database.fetchrow("SELEC 1")


async def test_a_statement_that_takes_too_long_is_an_outage(
    server: PostgresServer, name: str, migrations: Path
) -> None:
    async with open_database(server.url(name), "example", migrations, TIMEOUT_SECONDS) as database:
        with pytest.raises(DatabaseUnavailable):
            await database.execute("SELECT pg_sleep(60)")
        assert await rows(database) == [1, 2]


async def test_a_migration_of_a_large_table_may_take_its_time(
    server: PostgresServer, name: str, migrations: Path
) -> None:
    (migrations / "0003-large.sql").write_text(f"SELECT pg_sleep({3 * TIMEOUT_SECONDS})")
    async with open_database(server.url(name), "example", migrations, TIMEOUT_SECONDS) as database:
        assert not database.migrated  # it answers 503 meanwhile
        async with asyncio.timeout(30):
            while not database.migrated:  # noqa: ASYNC110 nobody else waits for it
                await asyncio.sleep(0.05)
        await database.ready()


async def test_a_full_pool_is_an_outage(server: PostgresServer, name: str, migrations: Path) -> None:
    async with open_database(server.url(name), "example", migrations, TIMEOUT_SECONDS, 1) as database:
        async with database.connection():
            with pytest.raises(DatabaseUnavailable):
                await database.execute("SELECT 1")
        await database.execute("SELECT 1")


@pytest.mark.parametrize("fault", ["gone", "hung"])
async def test_a_dead_or_hung_server_is_an_outage_that_ends(
    server: PostgresServer, name: str, migrations: Path, fault: str
) -> None:
    async with open_database(server.url(name), "example", migrations, TIMEOUT_SECONDS) as database:
        assert await rows(database) == [1, 2]
        with getattr(server, fault)():
            async with asyncio.timeout(20):  # for ever, without time limits of our own
                for _ in range(3):
                    with pytest.raises(DatabaseUnavailable):
                        await rows(database)
                with pytest.raises(DatabaseUnavailable):
                    await database.ready()
        assert await _recovers(database)


async def test_a_transaction_with_a_hung_server_ends_at_its_time_limit(
    server: PostgresServer, name: str, migrations: Path
) -> None:
    """Not at twice the limit: the rollback of a transaction waits for nothing."""
    seconds = 2.0

    async def work() -> None:
        async with database.connection() as connection, connection.transaction():
            await connection.execute("INSERT INTO rows VALUES (3)")
            hung.enter_context(server.hung())
            await connection.execute("INSERT INTO rows VALUES (4)")

    with contextlib.ExitStack() as hung:
        async with open_database(server.url(name), "example", migrations, seconds) as database:
            await rows(database)
            began = time.monotonic()
            with pytest.raises(DatabaseUnavailable):
                await work()
            assert time.monotonic() - began < 2 * seconds
            hung.close()
            assert await _recovers(database)


async def test_a_connection_that_the_server_ended_is_replaced(
    server: PostgresServer, name: str, migrations: Path
) -> None:
    async with open_database(server.url(name), "example", migrations, 10) as database:
        await rows(database)
        server.psql(
            "postgres", f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        assert await _recovers(database)


async def test_a_service_that_starts_without_postgres_migrates_when_it_is_there(
    server: PostgresServer, name: str, migrations: Path
) -> None:
    with server.gone():
        opened = open_database(server.url(name), "example", migrations, TIMEOUT_SECONDS)
        database = await opened.__aenter__()
        with pytest.raises(DatabaseUnavailable):
            await database.ready()
    try:
        for _ in range(200):
            if database.migrated:
                break
            await asyncio.sleep(0.05)
        assert await rows(database) == [1, 2]
    finally:
        await opened.__aexit__(None, None, None)


async def test_a_service_ends_though_the_server_hangs(
    server: PostgresServer, name: str, migrations: Path
) -> None:
    async with asyncio.timeout(20):
        async with open_database(server.url(name), "example", migrations, TIMEOUT_SECONDS) as database:
            await rows(database)
            hung = server.hung()
            hung.__enter__()
        hung.__exit__(None, None, None)


async def _recovers(database: Database) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            return await rows(database) == [1, 2]
        except DatabaseUnavailable:
            await asyncio.sleep(0.05)
    return False
