"""Child processes for jobs that may not run in the service: usual ones, and ones that only get idle cores."""

import ctypes
import os
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeVar, TypeVarTuple

import anyio
from anyio import CapacityLimiter, to_process
from anyio.from_thread import BlockingPortal, start_blocking_portal

R = TypeVar("R")
Arguments = TypeVarTuple("Arguments")

_PR_SET_PDEATHSIG: Final = 1
LOWEST: Final = 19
NICENESS: Final = 5  # the kernel prefers who answers requests to who decodes pictures


class Workers:
    """At most `count` processes. anyio keeps them by loop: those for idle cores have one of their own."""

    def __init__(self, count: int, idle_loop: BlockingPortal | None = None) -> None:
        self._count = count
        self._limiter = CapacityLimiter(count)
        self._idle_loop = idle_loop

    async def run(self, work: Callable[[*Arguments], R], *arguments: *Arguments) -> R:
        """What `work` returns or raises; where this is cancelled, its process is dead when this ends."""
        if self._idle_loop is None:
            return await self._run(work, *arguments)
        return await self._idle_loop.call_async(self._run, work, *arguments)

    async def _run(self, work: Callable[[*Arguments], R], *arguments: *Arguments) -> R:
        idle = self._idle_loop is not None
        return await to_process.run_sync(
            _prepared, idle, work, *arguments, cancellable=True, limiter=self._limiter
        )

    async def start(self, work: Callable[[], None]) -> None:
        """Start every process, and do `work` in each."""
        async with anyio.create_task_group() as group:
            for _ in range(self._count):
                group.start_soon(self.run, work)


@asynccontextmanager
async def open_idle_workers(count: int) -> AsyncGenerator[Workers]:
    """Workers whose every job runs on cores that nothing else wants."""
    with start_blocking_portal(name="idle workers") as loop:
        yield Workers(count, loop)


def _prepared(idle: bool, work: Callable[[*Arguments], R], *arguments: *Arguments) -> R:
    """First thing in a worker, before a library of its starts threads: those keep the priority they had."""
    os.setpriority(os.PRIO_PROCESS, 0, LOWEST if idle else NICENESS)
    if idle:
        with suppress(PermissionError):  # a container may forbid it: then the lowest priority has to do
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    return work(*arguments)
