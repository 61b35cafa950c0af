import copy

from hypothesis import given
from hypothesis import strategies as st

from services.auth.local_buckets import LocalBuckets
from services.auth.plans import Rate

SLOW = Rate(per_minute=1, burst=5)


@given(
    per_minute=st.integers(1, 3000),
    burst=st.integers(1, 20),
    processes=st.integers(1, 7),
    pauses=st.lists(st.integers(0, 1_000_000), min_size=20, max_size=100),
)
def test_never_more_than_the_share_of_burst_and_rate_nor_fewer_than_that_less_one(
    per_minute: int, burst: int, processes: int, pauses: list[int]
) -> None:
    buckets, rate = LocalBuckets(processes), Rate(per_minute, burst)
    share = max(1, burst // processes)
    now = allowed = 0
    for pause in pauses:
        now += pause
        decision = buckets.take("acct_1", rate, cost=1, now=now)
        allowed += decision.allowed
        assert (allowed - share) * processes * 60_000_000 <= now * per_minute
        if not decision.allowed:
            assert _left(buckets, rate, now + decision.next_token) == 1
            assert _left(buckets, rate, now + decision.next_token - 1) == 0
        assert _left(buckets, rate, now + decision.full) == share


def test_accounts_do_not_share() -> None:
    buckets = LocalBuckets(1)
    assert [buckets.take("a", SLOW, cost=1, now=0).allowed for _ in range(6)] == [True] * 5 + [False]
    assert buckets.take("b", SLOW, cost=1, now=0).allowed


def test_the_memory_is_bounded_and_the_latest_stay() -> None:
    buckets = LocalBuckets(1, buckets=2)
    for account in ("a", "b", "a", "c", "a"):
        left = buckets.take(account, SLOW, cost=1, now=0).left
    assert left == 2
    assert buckets.take("b", SLOW, cost=1, now=0).left == 4


def test_an_unlimited_plan_is_never_refused() -> None:
    assert LocalBuckets(4).take("a", None, cost=1, now=0).allowed


def _left(buckets: LocalBuckets, rate: Rate, now: int) -> int:
    """The tokens at a later time, without a trace in the buckets."""
    return copy.deepcopy(buckets).take("acct_1", rate, cost=0, now=now).left


def test_what_costs_more_than_a_share_can_still_be_had() -> None:
    rate = Rate(per_minute=1, burst=60)
    buckets = LocalBuckets(4)
    first, second = (buckets.take("a", rate, cost=60, now=0) for _ in range(2))
    assert (first.allowed, second.allowed) == (True, False)
    assert second.next_token == 4 * 60 * 60_000_000
