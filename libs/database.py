"""PostgreSQL with a time limit on everything, and numbered migrations under a lock."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any, Final, Protocol

import asyncpg
from prometheus_client import Counter

from libs.errors import Unavailable

FAILURES: Final = Counter("database_failures_total", "Statements that failed or ran out of time", ["reason"])
MIGRATION_SECONDS: Final = 600.0  # of a large table
MIGRATION_RETRY_SECONDS: Final = 1

log = logging.getLogger(__name__)

Connection = asyncpg.pool.PoolConnectionProxy
Row = asyncpg.Record

# A table that is missing is a migration that has not run yet: wait, do not answer 500.
_DOWN: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.UndefinedTableError,
    asyncpg.InvalidSchemaNameError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.DeadlockDetectedError,  # the other one goes on; this one may be tried again
)


class DatabaseUnavailable(Unavailable):
    """PostgreSQL is down, hung, full or starting."""


class Queries(Protocol):
    """What can be asked of the pool, and of a connection in the middle of a transaction."""

    async def fetchrow(self, query: str, /, *values: Any) -> Row | None: ...


class Database:
    """A pool whose every call ends within `timeout_seconds` or raises DatabaseUnavailable.

    `schema` and `migrations`: the service's own schema and its folder of `NNNN-*.sql` files.
    """

    def __init__(
        self, pool: "asyncpg.Pool[Any]", schema: str, migrations: Path, timeout_seconds: float
    ) -> None:
        self._pool = pool
        self._schema = schema
        self._migrations = migrations
        self._timeout_seconds = timeout_seconds
        self.migrated = False

    @contextlib.asynccontextmanager
    async def connection(self, seconds: float | None = None) -> AsyncGenerator["Connection[Any]", None]:
        """A connection of the pool; failures inside of the block become DatabaseUnavailable too.

        The whole block has the time limit, or `seconds`. Past it the connection is ended: to cancel a
        statement or to roll back, asyncpg would wait for a hung server once more.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (seconds or self._timeout_seconds)
        try:
            async with self._pool.acquire(timeout=self._timeout_seconds) as connection:
                limit = loop.call_at(deadline, connection.terminate)
                try:
                    yield connection
                finally:
                    limit.cancel()
        except _DOWN as error:
            FAILURES.labels(type(error).__name__).inc()
            raise DatabaseUnavailable from error

    async def fetch(self, query: str, *values: object) -> list[asyncpg.Record]:
        async with self.connection() as connection:
            return await connection.fetch(query, *values)

    async def fetchrow(self, query: str, *values: object) -> asyncpg.Record | None:
        async with self.connection() as connection:
            return await connection.fetchrow(query, *values)

    async def execute(self, query: str, *values: object) -> str:
        async with self.connection() as connection:
            return await connection.execute(query, *values)

    async def ready(self) -> None:
        """Raises where PostgreSQL does not answer or the schema is not up to date yet."""
        if not self.migrated:
            raise DatabaseUnavailable
        await self.execute("SELECT 1")

    async def migrate(self, seconds: float | None = None) -> None:
        """Apply what is missing, in the order of the numbers; every process may call it at once.

        All of it has the usual time limit, or `seconds`.
        """
        seconds = seconds or self._timeout_seconds
        async with self.connection(seconds) as connection, connection.transaction():
            await connection.execute(f"SET LOCAL statement_timeout = {round(seconds * 1000)}")
            await connection.execute(
                "SELECT pg_advisory_xact_lock(hashtext($1))", f"migrate {self._schema}", timeout=seconds
            )
            await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {self._schema}")
            await connection.execute(
                f"CREATE TABLE IF NOT EXISTS {self._schema}.migrations"
                " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
            )
            rows = await connection.fetch(f"SELECT name FROM {self._schema}.migrations")
            applied = {row["name"] for row in rows}
            for file in sorted(self._migrations.glob("*.sql")):
                if file.name in applied:
                    continue
                await connection.execute(file.read_text(), timeout=seconds)
                await connection.execute(
                    f"INSERT INTO {self._schema}.migrations (name) VALUES ($1)",
                    file.name,
                )
                log.info("migrated", extra={"migration": f"{self._schema}/{file.name}"})
        self.migrated = True

    async def _migrate_until_done(self) -> None:
        while not self.migrated:
            try:
                await self.migrate(MIGRATION_SECONDS)
            except DatabaseUnavailable as error:
                log.warning("waiting for PostgreSQL", extra={"reason": repr(error.__cause__)})
                await asyncio.sleep(MIGRATION_RETRY_SECONDS)


@contextlib.asynccontextmanager
async def open_database(
    url: str, schema: str, migrations: Path, timeout_seconds: float, connections: int = 8
) -> AsyncIterator[Database]:
    """The pool for as long as the service runs.

    A service that starts while PostgreSQL is down stays up, answers 503, and migrates when it is back.
    """
    pool = asyncpg.create_pool(
        url,
        min_size=0,
        max_size=connections,
        timeout=timeout_seconds,
        command_timeout=timeout_seconds,
        server_settings={
            "application_name": schema,
            "search_path": schema,
            # What we have given up must not go on there.
            "statement_timeout": str(round(timeout_seconds * 1000)),
        },
    )
    async with pool:
        database = Database(pool, schema, migrations, timeout_seconds)
        with contextlib.suppress(DatabaseUnavailable):
            await database.migrate()
        retry = asyncio.create_task(database._migrate_until_done())
        try:
            yield database
        finally:
            retry.cancel()
            # A pool that is closed politely waits for a hung server.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_seconds):
                    await pool.close()
