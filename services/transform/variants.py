"""Variants: each rendered once for all who ask at the same time, in bounded time, by a bounded queue."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import msgspec
from prometheus_client import Gauge, Histogram

from libs.errors import ImageNotFound, Unavailable
from libs.metrics import counter
from libs.pictures import Format
from services.transform.budget import Budget
from services.transform.flight import Flight
from services.transform.masters import Master, Masters
from services.transform.memory import Memory
from services.transform.options import Options, Output
from services.transform.quick import Quick, is_quick
from services.transform.render import render

RENDERS: Final = counter("renders_total", "Variants rendered", format=Format)
SECONDS: Final = Histogram(
    "render_seconds",
    "Seconds in a render thread",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 10),
)
QUEUE: Final = Gauge("render_queue", "Renders under way or waiting for a thread")
QUEUE_LIMIT: Final = Gauge("render_queue_limit", "Renders that this process takes at a time")
REFUSALS: Final = counter(
    "render_refusals_total", "Renders refused or given up", reason=("queue full", "deadline")
)

Render = Callable[[Master, Output], bytes]

QUEUE_FULL: Final = "Too many pictures are being rendered; ask again after the seconds in Retry-After"
TOO_SLOW: Final = "This picture takes too long to render at this size; ask for a smaller one"


class Variant(msgspec.Struct, frozen=True):
    """Bytes to serve."""

    data: bytes
    format: Format


class Limits(msgspec.Struct, frozen=True):
    """`queue` counts the renders that wait and those under way."""

    threads: int
    queue: int
    deadline_seconds: float


class Variants:
    """From an id and options to bytes."""

    def __init__(
        self, masters: Masters, budget: Budget, limits: Limits, recent_bytes: int, recent_seconds: float
    ) -> None:
        self._masters = masters
        self._budget = budget
        self._limits = limits
        self._threads = ThreadPoolExecutor(limits.threads, thread_name_prefix="render")
        self._turn = asyncio.Lock()
        self._quick = Quick()
        self._queued = 0
        QUEUE_LIMIT.set(limits.queue)
        self._flight: Flight[tuple[str, Options], Variant] = Flight()
        # Someone who asks just after a render has ended, and before nginx has it in its cache, gets that one.
        self._recent: Memory[tuple[str, Options], Variant] = Memory(
            recent_bytes, recent_seconds, lambda variant: len(variant.data)
        )

    async def exists(self, image_id: str) -> bool:
        return await self._masters.exists(image_id)

    async def get(self, image_id: str, options: Options) -> Variant:
        """The variant; raises ImageNotFound, INVALID_PARAMETER, RATE_LIMIT_EXCEEDED or Unavailable."""
        key = image_id, options
        recent = self._recent.get(key)
        if recent is None:
            made, started = await self._flight.do(key, lambda: self._make(image_id, options))
            if started:
                return made
            recent = made
        # Made, or begun, before this request came: the picture may have been deleted in between.
        await self._check(image_id)
        return recent

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _make(self, image_id: str, options: Options) -> Variant:
        choice = await self._masters.choose(image_id, options)
        if choice is None:
            raise ImageNotFound
        master, output = choice.master, choice.output
        # Side by side with the render, where the master was in memory already.
        check = None if choice.fresh else asyncio.ensure_future(self._check(image_id))
        try:
            if output is None:
                return Variant(master.data, master.meta.uploaded)
            self._budget.check(image_id)
            variant = Variant(await self._render(image_id, master, output), output.format)
            self._recent.put((image_id, options), variant)
            return variant
        finally:
            if check:
                await check

    async def _check(self, image_id: str) -> None:
        if not await self._masters.exists(image_id):
            raise ImageNotFound

    async def _render(self, image_id: str, master: Master, output: Output) -> bytes:
        if self._queued >= self._limits.queue:
            REFUSALS.labels("queue full").inc()
            raise Unavailable(QUEUE_FULL, retry_seconds=1)
        self._count(1)
        if is_quick(master, output):
            data = await self._render_here(partial(self._timed, image_id, self._quick.render, master, output))
        else:
            data = await self._render_in_thread(partial(self._timed, image_id, render, master, output))
        RENDERS.labels(output.format).inc()
        return data

    async def _render_here(self, work: Callable[[], bytes]) -> bytes:
        """On the event loop, where a thread would cost more than it frees: one in each turn of the loop."""
        try:
            async with asyncio.timeout(self._limits.deadline_seconds), self._turn:
                await asyncio.sleep(0)
                return work()
        except TimeoutError:
            raise self._too_slow() from None
        finally:
            self._count(-1)

    async def _render_in_thread(self, work: Callable[[], bytes]) -> bytes:
        future = self._threads.submit(work)
        waiter = asyncio.wrap_future(future)
        waiter.add_done_callback(self._leave_queue)
        done, _ = await asyncio.wait({waiter}, timeout=self._limits.deadline_seconds)
        if not done:
            # One that has begun cannot be ended: its place in the queue stays taken until it is through.
            future.cancel()
            raise self._too_slow()
        return waiter.result()

    def _too_slow(self) -> Unavailable:
        REFUSALS.labels("deadline").inc()
        return Unavailable(TOO_SLOW)

    def _leave_queue(self, waiter: "asyncio.Future[bytes]") -> None:
        self._count(-1)
        if not waiter.cancelled():
            waiter.exception()  # seen, even where the deadline came first

    def _timed(self, image_id: str, work: Render, master: Master, output: Output) -> bytes:
        started = time.perf_counter()
        try:
            return work(master, output)
        finally:
            seconds = time.perf_counter() - started
            SECONDS.observe(seconds)
            self._budget.charge(image_id, seconds)

    def _count(self, change: int) -> None:
        self._queued += change
        QUEUE.set(self._queued)
