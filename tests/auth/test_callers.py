import asyncio

import msgspec
import pytest

from libs.database import DatabaseUnavailable
from libs.errors import InvalidApiKey, Unavailable
from services.auth.accounts import Caller
from services.auth.callers import UNKNOWN_WAITING, Callers, RevokedKey

pytestmark = pytest.mark.anyio

KEY = b"k"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Table:
    """The keys in a database that can be slow or down."""

    def __init__(self) -> None:
        self.rows = {KEY: caller("1")}
        self.reads = 0
        self.down = False
        self.slow = asyncio.Event()
        self.slow.set()

    async def find(self, digest: bytes) -> Caller | None:
        self.reads += 1
        row = self.rows.get(digest)
        await self.slow.wait()
        if self.down:
            raise DatabaseUnavailable
        return row


def caller(epoch: str) -> Caller:
    return Caller("acct_1", "key_1", "free", suspended=False, expires_at=None, epoch=epoch)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def table() -> Table:
    return Table()


@pytest.fixture
def callers(table: Table, clock: Clock) -> Callers:
    return Callers(table.find, entries=2, fresh_seconds=60, stale_seconds=600, clock=clock)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_known_key_is_read_once_a_minute(callers: Callers, table: Table, clock: Clock) -> None:
    for _ in range(40):
        await callers.get(KEY)
        clock.now += 1
    assert table.reads == 1


async def test_200_requests_with_one_cold_key_read_it_once(callers: Callers, table: Table) -> None:
    """Of a burst of one account, not one is refused for waiting."""
    await asyncio.gather(*(callers.get(KEY) for _ in range(200)))
    assert table.reads == 1


async def test_an_entry_is_renewed_before_its_minute_ends_and_nobody_waits(
    callers: Callers, table: Table, clock: Clock
) -> None:
    await callers.get(KEY)
    table.slow.clear()
    clock.now += 50
    assert await callers.get(KEY) == caller("1")
    assert await callers.get(KEY) == caller("1")
    table.slow.set()
    await settle()
    assert table.reads == 2
    clock.now += 40
    await callers.get(KEY)
    assert table.reads == 2


async def test_after_its_minute_a_key_is_read_again(callers: Callers, table: Table, clock: Clock) -> None:
    await callers.get(KEY)
    table.rows[KEY] = caller("2")
    clock.now += 61
    assert await callers.get(KEY) == caller("2")


async def test_an_unknown_key_is_never_remembered(callers: Callers, table: Table) -> None:
    for _ in range(3):
        with pytest.raises(InvalidApiKey):
            await callers.get(b"new")
    table.rows[b"new"] = caller("1")
    assert await callers.get(b"new") == caller("1")


async def test_a_revoked_key_is_forgotten(callers: Callers, table: Table, clock: Clock) -> None:
    await callers.get(KEY)
    del table.rows[KEY]
    clock.now += 61
    with pytest.raises(InvalidApiKey):
        await callers.get(KEY)
    table.down = True
    with pytest.raises(DatabaseUnavailable):
        await callers.get(KEY)


async def test_a_revoked_key_that_is_still_tried_names_its_account_to_those_who_count(
    callers: Callers, table: Table
) -> None:
    await callers.get(KEY)
    table.rows[KEY] = msgspec.structs.replace(caller("2"), revoked=True)
    with pytest.raises(RevokedKey) as refused:
        await callers.get_again(KEY, "2")
    assert refused.value.account_id == "acct_1"
    assert refused.value.response().body == InvalidApiKey(sent=True).response().body
    with pytest.raises(RevokedKey):
        await callers.get(KEY)
    assert table.reads == 3


async def test_a_key_stays_valid_for_ten_minutes_while_postgres_is_down(
    callers: Callers, table: Table, clock: Clock
) -> None:
    await callers.get(KEY)
    table.down = True
    for _ in range(59):
        clock.now += 10
        assert await callers.get(KEY) == caller("1")
    clock.now += 10
    with pytest.raises(DatabaseUnavailable):
        await callers.get(KEY)


async def test_an_unknown_key_is_neither_good_nor_bad_while_postgres_is_down(
    callers: Callers, table: Table
) -> None:
    table.down = True
    with pytest.raises(DatabaseUnavailable):
        await callers.get(KEY)


async def test_a_postgres_that_is_down_is_asked_once_a_second(
    callers: Callers, table: Table, clock: Clock
) -> None:
    await callers.get(KEY)
    table.down = True
    clock.now += 100
    for _ in range(100):
        await callers.get(KEY)
    assert table.reads == 4
    for _ in range(10):
        clock.now += 0.5
        await callers.get(KEY)
    assert table.reads == 9


async def test_postgres_is_believed_again_when_it_is_back(
    callers: Callers, table: Table, clock: Clock
) -> None:
    await callers.get(KEY)
    table.down = True
    clock.now += 100
    for _ in range(10):
        await callers.get(KEY)
    table.down = False
    table.rows[KEY] = caller("2")
    clock.now += 1
    assert await callers.get(KEY) == caller("2")


async def test_a_read_after_a_change_does_not_join_one_from_before_it(callers: Callers, table: Table) -> None:
    table.slow.clear()
    before = asyncio.create_task(callers.get(KEY))
    await settle()
    table.rows[KEY] = caller("2")
    after = [asyncio.create_task(callers.get_again(KEY, "changed")) for _ in range(3)]
    await settle()
    table.slow.set()
    assert (await before).epoch == "1"
    assert [result.epoch for result in await asyncio.gather(*after)] == ["2"] * 3
    assert table.reads == 2


async def test_a_client_that_goes_away_does_not_end_the_read_of_others(
    callers: Callers, table: Table
) -> None:
    table.slow.clear()
    first, second = (asyncio.create_task(callers.get(KEY)) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    table.slow.set()
    assert await second == caller("1")


async def test_the_memory_is_bounded_and_the_latest_stay(callers: Callers, table: Table) -> None:
    table.rows |= {b"2": caller("1"), b"3": caller("1")}
    for digest in (KEY, b"2", KEY, b"3", KEY):
        await callers.get(digest)
    assert table.reads == 3
    await callers.get(b"2")
    assert table.reads == 4


async def test_a_flood_of_unknown_keys_is_refused_beyond_a_bound_and_known_ones_pass(
    callers: Callers, table: Table
) -> None:
    await callers.get(KEY)
    table.slow.clear()
    flood = [asyncio.create_task(callers.get(b"%d" % number)) for number in range(UNKNOWN_WAITING + 50)]
    await settle()
    assert table.reads == 1 + 4
    assert await callers.get(KEY) == caller("1")
    table.slow.set()
    results = await asyncio.gather(*flood, return_exceptions=True)
    assert sum(isinstance(result, InvalidApiKey) for result in results) == UNKNOWN_WAITING
    assert sum(isinstance(result, Unavailable) for result in results) == 50
