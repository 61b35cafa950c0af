"""Who holds which key, remembered for a minute, so that most requests need no database."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final

import msgspec
from prometheus_client import Counter

from libs.database import DatabaseUnavailable
from libs.errors import InvalidApiKey, Unavailable
from services.auth.accounts import Caller
from services.auth.breaker import Breaker

RENEW_AT: Final = 0.75  # of the fresh time: renewed in the background, so that nobody waits
UNKNOWN_AT_ONCE: Final = (
    4  # of the database's connections: a flood of unknown keys leaves room for known ones
)
UNKNOWN_WAITING: Final = 64

READS: Final = Counter("key_reads_total", "Keys read from PostgreSQL", ["outcome"])
STALE: Final = Counter("key_stale_total", "Requests served with a key past its time: PostgreSQL is away")

log = logging.getLogger(__name__)

Find = Callable[[bytes], Awaitable[Caller | None]]
Read = Callable[[bytes], Coroutine[None, None, Caller | None]]


class RevokedKey(InvalidApiKey):
    """As an unknown key to the one who sent it; `account_id` is for those who count."""

    def __init__(self, account_id: str) -> None:
        super().__init__(sent=True)
        self.account_id = account_id


class _Entry(msgspec.Struct, frozen=True):
    caller: Caller
    read_at: float  # by the clock, before the read began


class Callers:
    """A bounded memory of known keys by digest. Unknown and revoked keys are never remembered.

    An entry is believed for `fresh_seconds`, and for `stale_seconds` while PostgreSQL is away.
    """

    def __init__(
        self,
        find: Find,
        *,
        entries: int,
        fresh_seconds: float,
        stale_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find = find
        self._max_entries = entries
        self._fresh_seconds = fresh_seconds
        self._stale_seconds = stale_seconds
        self._clock = clock
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._reads: dict[tuple[bytes, str | None], asyncio.Task[Caller | None]] = {}
        self._breaker = Breaker(clock)
        self._unknown = asyncio.Semaphore(UNKNOWN_AT_ONCE)
        self._unknown_waiting = 0

    async def get(self, digest: bytes) -> Caller:
        """Who holds the key. Raises InvalidApiKey, or Unavailable where that cannot be known now."""
        entry = self._entries.get(digest)
        if entry is None:
            return await self._get_unknown(digest)
        self._entries.move_to_end(digest)
        age = self._clock() - entry.read_at
        if age < self._fresh_seconds:
            if age > self._fresh_seconds * RENEW_AT and not self._breaker.open:
                self._read(digest, None)
            return entry.caller
        return await self._get_old(digest, entry, age)

    async def get_again(self, digest: bytes, seen: str) -> Caller:
        """The same, read after Redis had the epoch `seen`. Raises DatabaseUnavailable too.

        All who saw the same epoch may share a read, because the first of them began it.
        """
        return _known(await asyncio.shield(self._read(digest, seen)))

    async def _get_unknown(self, digest: bytes) -> Caller:
        if (digest, None) not in self._reads:
            if self._unknown_waiting >= UNKNOWN_WAITING:
                raise Unavailable(retry_seconds=1)
            self._unknown_waiting += 1
        return _known(await asyncio.shield(self._read(digest, None, self._read_unknown)))

    async def _get_old(self, digest: bytes, entry: _Entry, age: float) -> Caller:
        try:
            return _known(await asyncio.shield(self._read(digest, None)))
        except DatabaseUnavailable:
            if age >= self._stale_seconds:
                raise
            STALE.inc()
            return entry.caller

    def _read(
        self, digest: bytes, seen: str | None, read: Read | None = None
    ) -> "asyncio.Task[Caller | None]":
        """The read that is under way, or a new one: all requests with one key share it."""
        task = self._reads.get((digest, seen))
        if task is None:
            task = asyncio.create_task((read or self._read_once)(digest))
            self._reads[digest, seen] = task
            task.add_done_callback(lambda done: self._finished((digest, seen), done))
        return task

    def _finished(self, read: tuple[bytes, str | None], task: "asyncio.Task[Caller | None]") -> None:
        del self._reads[read]
        if task.cancelled():
            return
        error = task.exception()  # nobody may have waited for it
        if error is not None and not isinstance(error, Unavailable):
            log.error("a key could not be read", exc_info=error)

    async def _read_unknown(self, digest: bytes) -> Caller | None:
        try:
            async with self._unknown:
                return await self._read_once(digest)
        finally:
            self._unknown_waiting -= 1

    async def _read_once(self, digest: bytes) -> Caller | None:
        if not self._breaker.allows():
            READS.labels("refused").inc()
            raise DatabaseUnavailable
        read_at = self._clock()
        try:
            caller = await self._find(digest)
        except DatabaseUnavailable:
            self._breaker.failed()
            READS.labels("failed").inc()
            raise
        self._breaker.succeeded()
        READS.labels("known" if caller and not caller.revoked else "unknown").inc()
        if caller is None or caller.revoked:
            self._entries.pop(digest, None)
            return caller
        self._entries[digest] = _Entry(caller, read_at)
        self._entries.move_to_end(digest)
        if len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)
        return caller


def _known(caller: Caller | None) -> Caller:
    if caller is None:
        raise InvalidApiKey(sent=True)
    if caller.revoked:
        raise RevokedKey(caller.account_id)
    return caller
