"""Single flight: one does the work for all."""

import asyncio

import pytest

from services.transform.flight import Flight

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Work:
    def __init__(self) -> None:
        self.started = 0
        self.go = asyncio.Event()

    async def __call__(self) -> int:
        self.started += 1
        await self.go.wait()
        return self.started


async def test_many_who_ask_at_once_share_one_piece_of_work() -> None:
    flight: Flight[str, int] = Flight()
    work = Work()
    waiting = [asyncio.create_task(flight.do("a", work)) for _ in range(50)]
    await asyncio.sleep(0)
    work.go.set()
    assert [result for result, _ in await asyncio.gather(*waiting)] == [1] * 50
    assert [started for _, started in await asyncio.gather(*waiting)] == [True] + [False] * 49


async def test_other_keys_and_later_askers_do_their_own() -> None:
    flight: Flight[str, int] = Flight()
    work = Work()
    work.go.set()
    assert await flight.do("a", work) == (1, True)
    assert await flight.do("a", work) == (2, True)
    assert await flight.do("b", work) == (3, True)


async def test_one_who_goes_away_does_not_end_it_for_the_others() -> None:
    flight: Flight[str, int] = Flight()
    work = Work()
    leaver = asyncio.create_task(flight.do("a", work))
    stayer = asyncio.create_task(flight.do("a", work))
    await asyncio.sleep(0)
    leaver.cancel()
    await asyncio.sleep(0)
    work.go.set()
    assert await stayer == (1, False)
    assert leaver.cancelled()


async def test_an_error_is_everyones_and_is_forgotten() -> None:
    flight: Flight[str, int] = Flight()

    async def fail() -> int:
        await asyncio.sleep(0)
        raise ValueError

    results = await asyncio.gather(*(flight.do("a", fail) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(result, ValueError) for result in results)
    work = Work()
    work.go.set()
    assert await flight.do("a", work) == (1, True)
