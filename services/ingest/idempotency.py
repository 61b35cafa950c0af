"""Idempotency keys: a retry gets the first answer, and stores nothing twice.

In flight is an advisory lock of PostgreSQL, so a process that is killed lets go of it.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from libs.database import DatabaseUnavailable
from libs.errors import IDEMPOTENCY_KEY_IN_USE, INVALID_REQUEST, ApiError

HEADER: Final = "Idempotency-Key"
MAX_LENGTH: Final = 255
WAIT_SECONDS: Final = 0.5  # for the lock of a process that was killed a moment ago
POLL_SECONDS: Final = 0.05

_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_PRINTABLE: Final = re.compile(r"[\x20-\x7e]+")


class Attempt(msgspec.Struct, frozen=True):
    """A request that may come again: its key, and what it asks for."""

    key: str
    fingerprint: bytes


def parse_key(header: str | None) -> str | None:
    """The key, bare or as a quoted string (RFC 8941 section 3.3.3). Raises INVALID_REQUEST."""
    if header is None:
        return None
    quoted = _QUOTED.fullmatch(header.strip())
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else header.strip()
    if not _PRINTABLE.fullmatch(key) or len(key) > MAX_LENGTH:
        raise ApiError(INVALID_REQUEST, f"{HEADER} must be 1 to {MAX_LENGTH} printable ASCII characters")
    return key


def fingerprint(user_id: str, image: Path) -> bytes:
    """What makes two uploads the same: the form around them differs with every retry."""
    with image.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    return hashlib.sha256(user_id.encode() + b"\0" + digest).digest()


class Claims:
    """Keys that are in flight: here, by name, and on every other process, by a lock.

    All locks of a process hang on one connection. If it breaks they are lost, and two retries may run at
    a time; then the one that finishes second finds the key taken, and nothing is kept of it.
    """

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._connection: asyncpg.Connection[Any] | None = None
        self._one_at_a_time = asyncio.Lock()
        self._held: set[str] = set()

    @asynccontextmanager
    async def claim(self, account_id: str, key: str) -> AsyncGenerator[None]:
        """Holds the key while the block runs; raises IDEMPOTENCY_KEY_IN_USE where someone else does."""
        name = f"{account_id} {key}"
        if name in self._held:
            raise _in_use()
        self._held.add(name)
        try:
            await self._lock(name)
            try:
                yield
            finally:
                with suppress(DatabaseUnavailable):
                    await self._ask("SELECT pg_advisory_unlock(hashtextextended($1, 0))", name)
        finally:
            self._held.discard(name)

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()

    async def _lock(self, name: str) -> None:
        deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
        while not await self._ask("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", name):
            if asyncio.get_running_loop().time() > deadline:
                raise _in_use()
            await asyncio.sleep(POLL_SECONDS)

    async def _ask(self, query: str, name: str) -> bool:
        async with self._one_at_a_time:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await asyncpg.connect(
                        self._url, timeout=self._timeout_seconds, command_timeout=self._timeout_seconds
                    )
                return bool(await self._connection.fetchval(query, name))
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                if self._connection is not None:
                    self._connection.terminate()
                    self._connection = None
                raise DatabaseUnavailable from error


def _in_use() -> ApiError:
    return ApiError(IDEMPOTENCY_KEY_IN_USE, headers={"Retry-After": "1"})
