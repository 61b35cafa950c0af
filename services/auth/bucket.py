"""Token buckets in Redis, shared by all processes: one or two an account, and those of the open doors."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Sequence
from hashlib import sha1
from pathlib import Path
from typing import Any, Final

import msgspec
from prometheus_client import Counter, Gauge
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError
from redis.maint_notifications import MaintNotificationsConfig

from services.auth.breaker import Breaker
from services.auth.deadline import within
from services.auth.local_buckets import Decision
from services.auth.plans import Rate

SCRIPT: Final = Path(__file__).with_name("bucket.lua").read_text()
SCRIPT_SHA: Final = sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()

CONNECTIONS: Final = 4  # all calls of one moment share a pipeline, so few are ever open
SOCKET_TIMEOUT_SECONDS: Final = 2.0
CHANGE_TIMEOUT_SECONDS: Final = 1.0  # a change waits longer than a request: it holds at once or in a minute
REVOKED_SECONDS: Final = 24 * 60 * 60  # longer than any cached key is believed

PLAN: Final = "bucket"  # an account's own, at its plan's rate
DASHBOARD: Final = "dashboard"  # the same account's, for what its sessions ask
NONE: Final = "-"

FAILURES: Final = Counter("redis_failures_total", "Round trips that failed or ran out of time", ["reason"])
BREAKER_OPEN: Final = Gauge("redis_breaker_open", "1 while Redis is asked once a second only")

log = logging.getLogger(__name__)

_DOWN: Final = (RedisError, OSError, TimeoutError)


class BucketUnavailable(Exception):
    """Redis is down, hung or not to be asked now."""


class Answer(msgspec.Struct, frozen=True):
    """What Redis knows. Where `current` is false, nothing was taken and `decision` means nothing.

    `epoch`: the account's in Redis; empty where Redis has none.
    """

    epoch: str
    current: bool
    revoked: bool
    decision: Decision


class SharedBucket:
    """The buckets in Redis. Every call ends within about `timeout_seconds` or raises BucketUnavailable."""

    def __init__(self, redis: Redis, timeout_seconds: float) -> None:
        self._redis = redis
        self._timeout_seconds = timeout_seconds
        self._breaker = Breaker()
        self._waiting: list[_Call] = []
        self._sender: asyncio.Task[None] | None = None

    async def take(
        self,
        account_id: str,
        key_id: str,
        rate: Rate | None,
        *,
        cost: int,
        epoch: str,
        seen: str | None,
        session_id: str | None = None,
        bucket: str = PLAN,
    ) -> Answer:
        """Takes `cost` tokens if what the caller knows is current: `epoch`, read after Redis had `seen`."""
        known = key_id, epoch, _or_none(seen)
        return await self._take(_names(account_id, bucket), known, rate, cost, session_id)

    async def take_from(self, name: str, rate: Rate | None, *, cost: int, bucket: str = PLAN) -> Decision:
        """Takes `cost` tokens, whoever asks: of the account `name`, or of a bucket that is no account's."""
        return (await self._take(_names(name, bucket), (NONE, NONE, NONE), rate, cost, None)).decision

    async def _take(
        self,
        names: tuple[str, str, str],
        known: tuple[str, str, str],
        rate: Rate | None,
        cost: int,
        session_id: str | None,
    ) -> Answer:
        if not self._breaker.allows():
            raise BucketUnavailable
        limit = (rate.per_minute, rate.burst) if rate else (0, 0)
        call = _Call(
            asyncio.get_running_loop().create_future(),
            (*names, *known, *limit, cost, _or_none(session_id)),
        )
        self._waiting.append(call)
        if self._sender is None:
            self._sender = asyncio.create_task(self._send())
        epoch_here, current, revoked, allowed, left, next_token, full = await call.reply
        decision = Decision(bool(allowed), left, next_token, full)
        return Answer(epoch_here.decode(), bool(current), bool(revoked), decision)

    async def _send(self) -> None:
        """One round trip at a time for all that wait: a burst of requests is a few pipelines."""
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                try:
                    replies = await within(self._timeout_seconds, self._round_trip(batch))
                except Exception as error:
                    # Whatever it is, those who wait must hear of it: they go on without Redis.
                    self._failed(error)
                    # What queued behind the batch has waited for the same Redis as long.
                    batch, self._waiting = batch + self._waiting, []
                    for call in batch:
                        call.fail(error)
                else:
                    self._succeeded()
                    for call, reply in zip(batch, replies, strict=True):
                        call.finish(reply)
        finally:
            self._sender = None

    async def _round_trip(self, batch: "Sequence[_Call]") -> list[Any]:
        replies = await self._evaluate(batch)
        unknown = [index for index, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:  # Redis is new or has restarted; a call without a script has taken nothing
            await self._redis.script_load(SCRIPT)
            again = await self._evaluate([batch[index] for index in unknown])
            for index, reply in zip(unknown, again, strict=True):
                replies[index] = reply
        return replies

    async def _evaluate(self, batch: "Sequence[_Call]") -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        for call in batch:
            pipeline.evalsha(SCRIPT_SHA, 3, *call.arguments)
        replies: list[Any] = await pipeline.execute(raise_on_error=False)
        for reply in replies:
            if isinstance(reply, RedisError) and not isinstance(reply, NoScriptError):
                raise reply  # read-only, out of memory, loading: Redis answers and cannot count
        return replies

    def _failed(self, error: Exception) -> None:
        FAILURES.labels(type(error).__name__).inc()
        if not isinstance(error, _DOWN):
            log.error("a round trip to Redis failed", exc_info=error)
        was_open = self._breaker.open
        self._breaker.failed()
        if self._breaker.open and not was_open:
            BREAKER_OPEN.set(1)
            log.warning("Redis is away: counting in this process", extra={"reason": repr(error)})

    def _succeeded(self) -> None:
        if self._breaker.open:
            BREAKER_OPEN.set(0)
            log.warning("Redis is back")
        self._breaker.succeeded()

    async def changed(self, account_id: str, *revoked_ids: str) -> None:
        """Makes every process read the account's keys and sessions again; call it after the commit."""
        _, epoch, revoked = _names(account_id)
        pipeline = self._redis.pipeline(transaction=True)
        # Random, so that it differs from every epoch that anybody holds, and from the last change's.
        pipeline.set(epoch, f"changed-{secrets.token_hex(8)}", ex=REVOKED_SECONDS)
        if revoked_ids:
            pipeline.sadd(revoked, *revoked_ids)
            pipeline.expire(revoked, REVOKED_SECONDS)
        await self._bounded(max(self._timeout_seconds, CHANGE_TIMEOUT_SECONDS), pipeline.execute())

    async def ready(self) -> None:
        await self._bounded(self._timeout_seconds, self._redis.echo("ready"))

    async def _bounded(self, seconds: float, call: Awaitable[object]) -> None:
        try:
            await within(seconds, call)
        except _DOWN as error:
            raise BucketUnavailable from error

    async def close(self) -> None:
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.wait({self._sender})


class _Call(msgspec.Struct, eq=False):
    """One take that waits for its reply."""

    reply: "asyncio.Future[Any]"
    arguments: tuple[str | int, ...]

    def finish(self, reply: object) -> None:
        if not self.reply.done():  # done: the client has gone
            self.reply.set_result(reply)

    def fail(self, error: Exception) -> None:
        if not self.reply.done():
            unavailable = BucketUnavailable(repr(error))
            unavailable.__cause__ = error
            self.reply.set_exception(unavailable)


def _names(name: str, bucket: str = PLAN) -> tuple[str, str, str]:
    """The braces keep an account's keys in one slot of a Redis cluster."""
    tag = f"auth:{{{name}}}"
    return f"{tag}:{bucket}", f"{tag}:epoch", f"{tag}:revoked"


def _or_none(text: str | None) -> str:
    return NONE if text is None else text


@contextlib.asynccontextmanager
async def open_shared_bucket(url: str, timeout_seconds: float) -> AsyncIterator[SharedBucket]:
    """`url`: unix:///path or redis://host:port/0. Redis need not be there yet."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=SOCKET_TIMEOUT_SECONDS,
        # `within` is the limit that counts; these only end what it has given up.
        socket_timeout=SOCKET_TIMEOUT_SECONDS,
        socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    bucket = SharedBucket(Redis(connection_pool=pool), timeout_seconds)
    try:
        yield bucket
    finally:
        await bucket.close()
        await pool.disconnect()
