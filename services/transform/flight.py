"""Single flight: of many who want the same thing at once, one fetches it and all get it."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Flight(Generic[K, T]):
    """Work under way, by its key. Who waits may go away; the work is finished for the others."""

    def __init__(self) -> None:
        self._tasks: dict[K, asyncio.Task[T]] = {}

    async def do(self, key: K, work: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """The result of `work`, and whether it was started by this call; its error is everyone's too."""
        task = self._tasks.get(key)
        started = task is None
        if task is None:
            task = asyncio.ensure_future(_run(work))
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._land(key, done))
        return await asyncio.shield(task), started

    def _land(self, key: K, task: "asyncio.Task[T]") -> None:
        del self._tasks[key]
        if not task.cancelled():
            task.exception()  # seen, even where everyone who waited has gone


async def _run(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
