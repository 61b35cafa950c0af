"""Idempotency keys: a retry gets the first answer, and stores nothing twice.

In flight is an advisory lock of PostgreSQL, so a process that is killed lets go of it.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
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


def parse_key(headers: Sequence[str]) -> str | None:
    """The key in the headers, bare or as a quoted string (RFC 8941 section 3.3.3). Raises INVALID_REQUEST."""
    if not headers:
        return None
    if len(headers) > 1:
        raise ApiError(INVALID_REQUEST, f"{HEADER} may be sent once")
    text = headers[0].strip()
    quoted = _QUOTED.fullmatch(text)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text
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
                await self._unlock(name)
        finally:
            self._held.discard(name)

    async def close(self) -> None:
        """Lets go of every lock."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _lock(self, name: str) -> None:
        deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
        while not await self._ask("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", name):
            if asyncio.get_running_loop().time() > deadline:
                raise _in_use()
            await asyncio.sleep(POLL_SECONDS)

    async def _unlock(self, name: str) -> None:
        try:
            await self._ask("SELECT pg_advisory_unlock(hashtextextended($1, 0))", name)
        except DatabaseUnavailable:
            await self.close()  # or the key would stay in use for as long as this process lives

    async def _ask(self, query: str, name: str) -> bool:
        """Ends in time, the wait for those before us included: they all wait where PostgreSQL hangs."""
        deadline = asyncio.get_running_loop().time() + self._timeout_seconds
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._one_at_a_time.acquire()
        except TimeoutError as error:
            raise DatabaseUnavailable from error
        try:
            return bool(await (await self._connect(deadline)).fetchval(query, name, timeout=_left(deadline)))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            await self.close()
            raise DatabaseUnavailable from error
        finally:
            self._one_at_a_time.release()

    async def _connect(self, deadline: float) -> "asyncpg.Connection[Any]":
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self._url, timeout=_left(deadline))
        return self._connection


def _left(deadline: float) -> float:
    """Seconds; never none at all, which asyncpg takes for no limit."""
    return max(0.1, deadline - asyncio.get_running_loop().time())


def _in_use() -> ApiError:
    return ApiError(IDEMPOTENCY_KEY_IN_USE, headers={"Retry-After": "1"})
