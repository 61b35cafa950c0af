import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count

import pytest

from libs.errors import FILE_TOO_LARGE, ApiError, Unavailable
from services.ingest.admission import ABOUT_SECONDS, SUSPECT_REFUSALS, Admission
from services.ingest.inspect import InvalidImage
from services.ingest.sandbox import SMALL_BYTES

pytestmark = pytest.mark.anyio

SMALL = SMALL_BYTES
LARGE = SMALL_BYTES + 1


class Uploads:
    """Uploads that end when they are told to, and which of them have begun."""

    def __init__(self, admission: Admission) -> None:
        self.begun: list[str] = []
        self._admission = admission
        self._ends: dict[str, asyncio.Future[None]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._numbers = count()

    async def send(self, account: str, length: int = SMALL) -> str:
        name = f"{account}{next(self._numbers)}"
        self._ends[name] = asyncio.get_running_loop().create_future()
        self._tasks[name] = asyncio.create_task(self._one(name, account, length))
        await settled()
        return name

    def let_end(self, name: str, error: ApiError | None = None) -> None:
        if error:
            self._ends[name].set_exception(error)
        else:
            self._ends[name].set_result(None)

    async def end(self, name: str, error: ApiError | None = None) -> None:
        self.let_end(name, error)
        await asyncio.wait([self._tasks[name]])
        await settled()

    async def result(self, name: str) -> None:
        await self._tasks[name]

    async def give_up(self, name: str) -> None:
        self._tasks[name].cancel()
        await asyncio.wait([self._tasks[name]])

    async def has_begun(self, name: str) -> bool:
        """Whether it begins before long."""
        for _ in range(400):
            if name in self.begun:
                return True
            await asyncio.sleep(0.01)
        return False

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _one(self, name: str, account: str, length: int) -> None:
        async with self._admission.admit(account, length):
            self.begun.append(name)
            await self._ends[name]


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@asynccontextmanager
async def uploads(limit: int = 20, workers: int = 2, turn_seconds: float = 20) -> AsyncGenerator[Uploads]:
    made = Uploads(Admission(limit, workers, turn_seconds))
    yield made
    await made.close()


async def test_an_account_that_is_alone_takes_half_of_the_places_at_once() -> None:
    async with uploads(limit=8) as made:
        names = [await made.send("a", LARGE) for _ in range(5)]
        assert made.begun == names[:4]
        with pytest.raises(Unavailable, match="Too many uploads"):
            await made.result(names[4])


async def test_each_account_leaves_as_many_places_as_it_takes() -> None:
    async with uploads(limit=16) as made:
        names = [await made.send(account) for account in "a" * 9 + "b" * 5 + "c" * 3 + "d" * 2 + "e" * 2]
        refused = [8, 13, 16, 18, 20]
        for number in refused:
            with pytest.raises(Unavailable, match="Too many uploads"):
                await made.result(names[number])
        await made.end(names[0])
        assert await made.has_begun(await made.send("f"))


async def test_beside_others_an_account_has_as_many_in_work_as_there_are_workers() -> None:
    async with uploads() as made:
        await made.send("b")
        first, second, third = [await made.send("a") for _ in range(3)]
        assert {first, second} <= set(made.begun)
        assert third not in made.begun
        await made.end(first)
        assert third in made.begun


async def test_beside_others_half_of_the_workers_are_for_large_ones() -> None:
    async with uploads(workers=4) as made:
        await made.send("b")
        first, second, third = [await made.send("a", LARGE) for _ in range(3)]
        small = await made.send("a", SMALL)
        assert {first, second, small} <= set(made.begun)
        assert third not in made.begun


async def test_after_a_large_one_the_next_waits_for_as_long_as_that_took() -> None:
    async with uploads() as made:
        other = await made.send("b")
        first, second = [await made.send("a", LARGE) for _ in range(2)]
        await asyncio.sleep(0.3)
        await made.end(first)
        assert second not in made.begun
        assert await made.has_begun(second)
        assert other in made.begun


@pytest.mark.parametrize(
    ("errors", "at_once"),
    [
        ([InvalidImage("not one")] * (SUSPECT_REFUSALS - 1), 2),
        ([InvalidImage("not one")] * SUSPECT_REFUSALS, 1),
        ([ApiError(FILE_TOO_LARGE)] * SUSPECT_REFUSALS, 2),
    ],
)
async def test_after_several_refused_pictures_small_ones_are_as_large_ones(
    errors: list[ApiError], at_once: int
) -> None:
    async with uploads() as made:
        await made.send("b")
        for error in errors:
            await made.end(await made.send("a"), error)
        names = [await made.send("a") for _ in range(2)]
        assert len(set(names) & set(made.begun)) == at_once


async def test_what_waits_begins_when_the_others_have_gone() -> None:
    async with uploads() as made:
        other = await made.send("b")
        names = [await made.send("a", LARGE) for _ in range(3)]
        await made.end(other)
        assert names[1] not in made.begun  # it may come back at once
        await asyncio.sleep(ABOUT_SECONDS)
        assert [await made.has_begun(name) for name in names] == [True, True, True]


async def test_uploads_of_an_account_begin_in_their_order() -> None:
    async with uploads(workers=1) as made:
        await made.send("b")
        first, second = [await made.send("a") for _ in range(2)]
        made.let_end(first)
        third = await made.send("a")  # in the moment when there is room
        await made.end(second)
        assert made.begun[1:] == [first, second, third]


async def test_one_that_gives_up_waiting_lets_the_next_one_pass() -> None:
    async with uploads(workers=1) as made:
        await made.send("b")
        first, second, third = [await made.send("a") for _ in range(3)]
        await made.give_up(second)
        await made.end(first)
        assert third in made.begun


async def test_one_whose_turn_does_not_come_is_told_to_come_again() -> None:
    async with uploads(workers=1, turn_seconds=0.05) as made:
        await made.send("b")
        first, second = [await made.send("a") for _ in range(2)]
        assert first in made.begun
        with pytest.raises(Unavailable, match="Too many uploads"):
            await made.result(second)
