"""A time limit that tells a late answer from our own late event loop."""

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

SLICES: Final = 8

T = TypeVar("T")


async def within(seconds: float, call: Awaitable[T]) -> T:
    """The call's result, or TimeoutError where the other side took longer than `seconds`.

    Lateness of our own event loop (a burst on busy cores) is not held against the other side: the time is
    counted in slices, each at least one turn of the loop, in which it reads what has arrived meanwhile.
    """
    task = asyncio.ensure_future(call)
    try:
        for _ in range(SLICES):
            await asyncio.wait({task}, timeout=seconds / SLICES)
            if task.done():
                return task.result()
        for _ in range(2):
            await asyncio.sleep(0)
            if task.done():
                return task.result()
        raise TimeoutError
    finally:
        if not task.done():
            task.cancel()
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
