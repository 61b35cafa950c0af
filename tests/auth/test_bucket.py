import asyncio
import re
import time
from collections.abc import AsyncGenerator, Callable, Iterator

import pytest

from services.auth.bucket import DASHBOARD, Answer, BucketUnavailable, SharedBucket, open_shared_bucket
from services.auth.plans import Rate
from tests.containers.servers import contained_redis
from tests.servers import RedisServer

pytestmark = pytest.mark.anyio

SLOW = Rate(per_minute=1, burst=5)
EPOCH = "7"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A Redis of the test's own, to be broken."""
    with contained_redis() as server:
        yield server


@pytest.fixture
async def shared(server: RedisServer) -> AsyncGenerator[SharedBucket]:
    async with open_shared_bucket(server.url, 0.5) as bucket:
        yield bucket


async def take(
    bucket: SharedBucket,
    rate: Rate | None = SLOW,
    *,
    cost: int = 1,
    epoch: str = EPOCH,
    seen: str | None = "",
) -> Answer:
    return await bucket.take("acct_1", "key_1", rate, cost=cost, epoch=epoch, seen=seen)


async def test_the_burst_goes_through_and_no_more(shared: SharedBucket) -> None:
    decisions = [(await take(shared)).decision for _ in range(7)]
    assert [decision.allowed for decision in decisions] == [True] * 5 + [False] * 2
    assert [decision.left for decision in decisions] == [4, 3, 2, 1, 0, 0, 0]


async def test_the_next_token_and_the_full_bucket_are_foretold(shared: SharedBucket) -> None:
    for _ in range(5):
        decision = (await take(shared)).decision
    assert 0 < decision.next_token <= 60_000_000
    assert 240_000_000 < decision.full <= 300_000_000


async def test_one_call_at_a_time_or_all_at_once_is_the_same(shared: SharedBucket) -> None:
    answers = await asyncio.gather(*(take(shared) for _ in range(50)))
    assert [answer.decision.allowed for answer in answers] == [True] * 5 + [False] * 45


async def test_two_processes_share_one_bucket(server: RedisServer, shared: SharedBucket) -> None:
    async with open_shared_bucket(server.url, 0.5) as other:
        answers = [await take(bucket) for bucket in (shared, other) * 4]
    assert sum(answer.decision.allowed for answer in answers) == 5


async def test_a_bucket_holds_whole_numbers_at_a_rate_that_divides_nothing(
    server: RedisServer, shared: SharedBucket
) -> None:
    for _ in range(20):
        await take(shared, Rate(per_minute=7, burst=1000))
        assert re.fullmatch(r"\d+:\d+", server.cli("GET", "auth:{acct_1}:bucket"))


async def test_a_full_bucket_is_no_key(server: RedisServer, shared: SharedBucket) -> None:
    await take(shared, Rate(per_minute=1_000_000, burst=1_000))
    assert await _becomes("0", lambda: server.cli("EXISTS", "auth:{acct_1}:bucket"))


async def test_a_smaller_plan_caps_what_was_saved(shared: SharedBucket) -> None:
    await take(shared, Rate(per_minute=1, burst=1000))
    assert (await take(shared, SLOW)).decision.left == 4


async def test_a_refused_caller_takes_nothing(shared: SharedBucket) -> None:
    for _ in range(10):
        assert (await take(shared, cost=0)).decision.left == 5


async def test_an_unlimited_plan_has_no_bucket(server: RedisServer, shared: SharedBucket) -> None:
    answers = [await take(shared, None) for _ in range(100)]
    assert all(answer.decision.allowed for answer in answers)
    assert server.cli("EXISTS", "auth:{acct_1}:bucket") == "0"


async def test_an_entry_of_another_epoch_takes_nothing(server: RedisServer, shared: SharedBucket) -> None:
    await take(shared)
    answer = await take(shared, epoch="6", seen=None)
    assert (answer.current, answer.epoch) == (False, EPOCH)
    assert (await take(shared)).decision.left == 3


async def test_a_change_makes_every_entry_old_until_it_is_read_again(shared: SharedBucket) -> None:
    await take(shared)
    await shared.changed("acct_1")
    first = await take(shared, seen=None)
    assert not first.current
    assert (await take(shared, epoch="8", seen=first.epoch)).current
    assert not (await take(shared, epoch=EPOCH, seen=None)).current


async def test_an_entry_that_was_read_before_the_last_change_is_never_believed(shared: SharedBucket) -> None:
    await shared.changed("acct_1")
    first = await take(shared, seen=None)
    await shared.changed("acct_1")
    assert not (await take(shared, epoch="8", seen=first.epoch)).current


async def test_a_revoked_key_is_known_to_redis_and_takes_nothing(shared: SharedBucket) -> None:
    await shared.changed("acct_1", "key_1")
    seen = (await take(shared, seen=None)).epoch
    assert (await take(shared, epoch="8", seen=seen)).revoked
    other = await shared.take("acct_1", "key_2", SLOW, cost=1, epoch="8", seen=None)
    assert not other.revoked
    assert other.decision.left == 4


async def test_the_keys_of_an_account_share_a_slot_of_a_cluster(
    server: RedisServer, shared: SharedBucket
) -> None:
    await shared.changed("acct_1", "key_1")
    await take(shared, seen=(await take(shared, seen=None)).epoch)
    await shared.take("acct_1", "key_2", SLOW, cost=1, epoch=EPOCH, seen=None)
    names = server.cli("KEYS", "*").split()
    assert len(names) == 3
    assert all("{acct_1}" in name for name in names)


async def test_a_redis_that_lost_the_script_gets_it_again(server: RedisServer, shared: SharedBucket) -> None:
    await take(shared)
    server.cli("SCRIPT", "FLUSH")
    answers = await asyncio.gather(*(take(shared) for _ in range(3)))
    assert [answer.decision.left for answer in answers] == [3, 2, 1]


async def test_a_redis_that_restarted_is_used_again_at_once(
    server: RedisServer, shared: SharedBucket
) -> None:
    await take(shared)
    with server.gone():
        pass
    assert (await take(shared)).current


async def test_a_dead_redis_is_said_to_be_away(server: RedisServer, shared: SharedBucket) -> None:
    await take(shared)
    with server.gone():
        for _ in range(5):
            with pytest.raises(BucketUnavailable):
                await take(shared)
        with pytest.raises(BucketUnavailable):
            await shared.ready()


async def test_a_hung_redis_is_asked_three_times_and_then_left_alone(server: RedisServer) -> None:
    async with open_shared_bucket(server.url, 0.05) as bucket:
        await take(bucket)
        with server.hung():
            for _ in range(200):
                with pytest.raises(BucketUnavailable):
                    await take(bucket)
        assert server.cli("INFO", "commandstats").count("cmdstat_evalsha") == 1


async def test_all_that_wait_for_a_hung_redis_are_let_go_together(server: RedisServer) -> None:
    async with open_shared_bucket(server.url, 0.05) as bucket:
        await take(bucket)
        with server.hung():
            first = asyncio.create_task(take(bucket))
            await asyncio.sleep(0.01)
            others = [asyncio.create_task(take(bucket)) for _ in range(20)]
            await asyncio.wait({first})
            await asyncio.sleep(0)
            assert all(other.done() for other in others)
            results = await asyncio.gather(first, *others, return_exceptions=True)
        assert all(isinstance(result, BucketUnavailable) for result in results)


async def test_a_redis_that_continues_is_used_again(server: RedisServer) -> None:
    async with open_shared_bucket(server.url, 0.05) as bucket:
        with server.hung():
            for _ in range(4):
                with pytest.raises(BucketUnavailable):
                    await take(bucket)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                assert (await take(bucket)).current
                break
            except BucketUnavailable:
                await asyncio.sleep(0.05)
        else:
            pytest.fail("Redis was not asked again")


async def test_a_redis_that_cannot_write_is_away(server: RedisServer, shared: SharedBucket) -> None:
    server.cli("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(BucketUnavailable):
        await take(shared)


async def test_our_own_late_event_loop_is_not_a_hung_redis(server: RedisServer) -> None:
    async with open_shared_bucket(server.url, 0.02) as bucket:
        for _ in range(5):
            call = asyncio.create_task(take(bucket, None))
            for _ in range(4):  # until the request is on its way
                await asyncio.sleep(0)
            time.sleep(0.1)  # noqa: ASYNC251 the lateness itself
            assert (await call).current


async def test_a_caller_that_goes_away_leaves_the_others_their_answers(shared: SharedBucket) -> None:
    calls = [asyncio.create_task(take(shared)) for _ in range(4)]
    await asyncio.sleep(0)
    calls[1].cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(answers[1], asyncio.CancelledError)
    assert sum(isinstance(answer, Answer) and answer.decision.allowed for answer in answers) == 3


async def _becomes(value: str, read: Callable[[], str]) -> bool:
    for _ in range(1000):
        if read() == value:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_a_bucket_of_no_account_is_taken_from_whoever_asks(shared: SharedBucket) -> None:
    decisions = [await shared.take_from("sign-ups 192.0.2.1", SLOW, cost=2) for _ in range(3)]
    assert [decision.allowed for decision in decisions] == [True, True, False]
    assert [decision.left for decision in decisions] == [3, 1, 1]
    assert 0 < decisions[-1].next_token <= 60_000_000  # one of the two that it costs is there


async def test_a_look_at_an_accounts_bucket_takes_nothing_and_needs_no_epoch(shared: SharedBucket) -> None:
    await take(shared)
    for _ in range(3):
        assert (await shared.take_from("acct_1", SLOW, cost=0)).left == 4
    assert (await take(shared, seen=None)).current


async def test_a_revoked_session_is_refused_and_its_key_is_not(shared: SharedBucket) -> None:
    await shared.changed("acct_1", "sess_1")
    first = await take(shared, seen=None)
    assert (await take(shared, epoch="8", seen=first.epoch)).revoked is False
    for session_id, revoked in (("sess_1", True), ("sess_2", False), (None, False)):
        answer = await shared.take(
            "acct_1", "key_1", SLOW, cost=1, epoch="8", seen=None, session_id=session_id
        )
        assert answer.revoked is revoked


async def test_a_session_is_refused_with_its_key(shared: SharedBucket) -> None:
    await shared.changed("acct_1", "key_1")
    first = await take(shared, seen=None)
    answer = await shared.take(
        "acct_1", "key_1", SLOW, cost=1, epoch="8", seen=first.epoch, session_id="sess_1"
    )
    assert answer.revoked


async def test_the_dashboard_has_a_bucket_of_its_own(shared: SharedBucket) -> None:
    for _ in range(3):
        await shared.take("acct_1", "key_1", SLOW, cost=1, epoch=EPOCH, seen="", bucket=DASHBOARD)
    assert (await take(shared)).decision.left == 4
