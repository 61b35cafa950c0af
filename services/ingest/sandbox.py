"""The box: child processes that walk and decode what a client sent, and may die of it."""

import os
import resource
import signal
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from re import compile as regex
from typing import TYPE_CHECKING, Final, TypeVar
from weakref import WeakValueDictionary

import anyio
import msgspec
from anyio import BrokenWorkerProcess, CapacityLimiter, to_thread
from prometheus_client import Counter, Gauge, Histogram

from libs.errors import Unavailable
from libs.metrics import counter
from libs.pictures import MAX_SIDE
from services.ingest.inspect import Inspected, InvalidImage, TooManyParts, inspect
from services.ingest.workers import Workers, open_idle_workers

if TYPE_CHECKING:
    from services.ingest.renditions import Made

R = TypeVar("R")

ENDED: Final = counter(
    "box_ended_total",
    "Jobs by how they ended",
    end=("made", "refused", "memory", "deadline", "killed", "queue full"),
)
SECONDS: Final = Histogram(
    "box_seconds", "Seconds in a worker", buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
)
JOBS_NOW: Final = Gauge("box_jobs", "Jobs in a worker or waiting for one")
STARVED: Final = Counter(
    "box_starved_total", "Jobs begun anew at the usual priority, because no core was idle for long enough"
)
JOBS_LIMIT: Final = Gauge("box_jobs_limit", "Jobs that this process takes at a time")

CHILD_ENVIRONMENT: Final = {
    "VIPS_CONCURRENCY": "1",
    "VIPS_BLOCK_UNTRUSTED": "1",
    "VIPS_MAX_COORD": str(10 * MAX_SIDE),
}
# libvips, libpng and libjpeg in their own words.
OUT_OF_MEMORY: Final = regex("(?i)out of memory|insufficient memory|alloc")
# What is larger computes for tenths of a second, or for seconds: on cores that nothing else wants, so that
# small pictures take as long beside it as without it.
SMALL_BYTES: Final = 256 * 1024
SMALL_PIXELS: Final = 1_500_000
FEW_PARTS: Final = 200  # looked at in 0.5 ms; a file of 40 KB can be cut into 9,900, which take 20
MIN_IDLE_SECONDS: Final = 1.0
MAX_ACCOUNT_PIXELS: Final = 150_000_000  # of one account, in a worker or waiting: some twenty seconds of work

TOO_EXPENSIVE: Final = (
    "This picture takes more time or memory than we give to one; send a smaller or simpler one"
)
QUEUE_FULL: Final = (
    "Too many uploads are being processed; wait for the seconds in Retry-After and send it again"
)


class Limits(msgspec.Struct, frozen=True):
    """Of one job: wall time, processor time, and address space.

    A large one has `idle_seconds` a megapixel on idle cores, a second at least, and then the rest of its
    deadline at the usual priority.
    """

    deadline_seconds: float
    cpu_seconds: int
    memory_bytes: int
    idle_seconds: float = 0.3


class Refused(msgspec.Struct, frozen=True):
    """What a worker says where it made no renditions; `ours`: by our limits, not by the picture's damage."""

    reason: str
    ours: bool


class Share:
    """What one account has under way."""

    def __init__(self, workers: int) -> None:
        self.limiter = CapacityLimiter(workers)
        self.jobs = 0
        self.pixels = 0


class Sandbox:
    """At most `workers` children for small pictures and as many for large ones, `queue` jobs waiting.

    No account is on more than half of them. One more child walks large files: no walk waits for a picture.
    """

    def __init__(self, workers: int, queue: int, limits: Limits, idle_workers: Workers) -> None:
        self._most_jobs = workers + queue
        self._limits = limits
        self._workers = Workers(workers + 1)
        self._idle_workers = idle_workers
        self._rescue = Workers(1)  # for what found no idle core, beside those for small pictures
        # Taken before the clock of a job starts.
        self._small = CapacityLimiter(workers)
        self._large = CapacityLimiter(workers)
        self._walker = CapacityLimiter(1)
        # Each account's files are walked one after the other: nobody waits for all of another's.
        self._walks: WeakValueDictionary[str, CapacityLimiter] = WeakValueDictionary()
        self._share = max(1, workers // 2)
        self._shares: dict[str, Share] = {}
        self._jobs = 0
        JOBS_LIMIT.set(self._most_jobs)

    async def start(self) -> None:
        """Start every worker and let it import libvips, so that no upload waits for that."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._workers.start, _warm)
            group.start_soon(self._idle_workers.start, _warm)

    async def inspect(self, account_id: str, source: Path) -> Inspected:
        """The container walk of the file `source`: returns and raises as it does, or Unavailable."""
        if source.stat().st_size <= SMALL_BYTES:
            # Here, without the millisecond of a worker. What takes longer would hold up everybody's requests.
            with suppress(TooManyParts):
                return await to_thread.run_sync(inspect, source, FEW_PARTS)
        turn = self._walks.setdefault(account_id, CapacityLimiter(1))
        async with turn, self._walker:
            return await self._in_time(self._workers.run(_walk, source, self._limits))

    async def render(self, account_id: str, source: Path, inspected: Inspected, folder: Path) -> list["Made"]:
        """Every rendition of the picture in `source`, as files in `folder`.

        Raises InvalidImage where it does not decode, Unavailable where our own limits end it.
        """
        pixels = inspected.width * inspected.height
        large = pixels > SMALL_PIXELS or source.stat().st_size > SMALL_BYTES
        async with self._turn(account_id, pixels, self._large if large else self._small):
            with SECONDS.time():
                job = source, inspected, folder, self._limits
                result = await self._in_time(
                    self._make_large(*job) if large else self._workers.run(_work, *job)
                )
        if isinstance(result, Refused):
            if result.ours:
                ENDED.labels("memory").inc()
                raise Unavailable(TOO_EXPENSIVE)
            ENDED.labels("refused").inc()
            raise InvalidImage("the picture does not decode whole")
        ENDED.labels("made").inc()
        return result

    async def _in_time(self, work: Awaitable[R]) -> R:
        try:
            with anyio.fail_after(self._limits.deadline_seconds):
                return await work
        except TimeoutError:
            ENDED.labels("deadline").inc()
            raise Unavailable(TOO_EXPENSIVE) from None
        except BrokenWorkerProcess as error:
            ENDED.labels("killed").inc()
            raise Unavailable(TOO_EXPENSIVE) from error

    async def _make_large(
        self, source: Path, inspected: Inspected, folder: Path, limits: Limits
    ) -> "list[Made] | Refused":
        """On an idle core; where there is none for long enough, anew at the usual priority."""
        megapixels = inspected.width * inspected.height / 1_000_000
        idle_seconds = max(MIN_IDLE_SECONDS, limits.idle_seconds * megapixels)
        began = anyio.current_time()
        try:
            return await self._idle_workers.run(
                _work_until_starved, idle_seconds, source, inspected, folder, limits
            )
        except BrokenWorkerProcess:
            if anyio.current_time() - began < idle_seconds:
                raise
        STARVED.inc()
        return await self._rescue.run(_work, source, inspected, folder, limits)

    @asynccontextmanager
    async def _turn(self, account_id: str, pixels: int, free: CapacityLimiter) -> AsyncGenerator[None]:
        """Wait for this account's share, then for a worker: so one account cannot keep the others waiting.

        What would wait for longer than its client does is refused now: jobs are counted, and their pixels.
        """
        share = self._shares.get(account_id) or Share(self._share)
        full = self._jobs >= self._most_jobs
        if full or (share.jobs and share.pixels + pixels > MAX_ACCOUNT_PIXELS):
            ENDED.labels("queue full").inc()
            raise Unavailable(QUEUE_FULL)
        self._shares[account_id] = share
        share.jobs += 1
        share.pixels += pixels
        self._jobs += 1
        JOBS_NOW.set(self._jobs)
        try:
            async with share.limiter, free:
                yield
        finally:
            self._jobs -= 1
            JOBS_NOW.set(self._jobs)
            share.jobs -= 1
            share.pixels -= pixels
            if not share.jobs:
                del self._shares[account_id]


@asynccontextmanager
async def open_sandbox(workers: int, queue: int, limits: Limits) -> AsyncGenerator[Sandbox]:
    async with open_idle_workers(workers) as idle_workers:
        yield Sandbox(workers, queue, limits, idle_workers)


def _confine(limits: Limits) -> None:
    """Limits of this process for its next job; the kernel counts processor time from the process's start."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(usage.ru_utime + usage.ru_stime) + 1 + limits.cpu_seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _warm() -> None:
    """First thing in a worker: libvips reads its settings once, at import."""
    os.environ.update(CHILD_ENVIRONMENT)
    import pyvips

    if not pyvips.API_mode:
        raise RuntimeError("pyvips is not in API mode: install pyvips[binary]")
    pyvips.cache_set_max(0)


def _walk(source: Path, limits: Limits) -> Inspected:
    """The container walk, in a worker."""
    _warm()
    _confine(limits)
    return inspect(source)


def _work(source: Path, inspected: Inspected, folder: Path, limits: Limits) -> "list[Made] | Refused":
    """One job, in a worker. Names of files come in and go out, never pixels."""
    _warm()
    import pyvips

    from services.ingest import renditions

    _confine(limits)
    try:
        image = renditions.decode(_picture(source, inspected), inspected.format)
    except MemoryError:
        return Refused("out of memory", ours=True)
    except pyvips.Error as error:
        return Refused(str(error), ours=OUT_OF_MEMORY.search(str(error)) is not None)
    try:
        return renditions.make(image, inspected.format, folder)
    except (MemoryError, pyvips.Error) as error:
        # It has been decoded whole: what goes wrong now is no fault of the picture's.
        return Refused(str(error), ours=True)


def _work_until_starved(
    idle_seconds: float, source: Path, inspected: Inspected, folder: Path, limits: Limits
) -> "list[Made] | Refused":
    """The same; after `idle_seconds` the kernel ends this process, wherever it is.

    It knows when it begins to work. Its parent would count its start as well, and may not end it meanwhile.
    """
    _warm()
    signal.setitimer(signal.ITIMER_REAL, idle_seconds)
    try:
        return _work(source, inspected, folder, limits)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _picture(source: Path, inspected: Inspected) -> bytes:
    """What the decoder needs of the file."""
    with source.open("rb") as file:
        parts = [inspected.prefix]
        for start, end in inspected.ranges:
            file.seek(start)
            parts.append(file.read(end - start))
    return b"".join(parts)
