"""Token buckets in this process, for when Redis is away."""

from collections import OrderedDict
from typing import Final

import msgspec

from services.auth.plans import Rate

UNITS: Final = (
    60_000_000  # a token, so that one microsecond brings `per_minute` units: no fractions, no drift
)
MAX_BUCKETS: Final = 100_000


class Decision(msgspec.Struct, frozen=True):
    """What a bucket says. `left`: whole tokens; times in microseconds from now."""

    allowed: bool
    left: int
    next_token: int
    full: int


UNLIMITED: Final = Decision(allowed=True, left=0, next_token=0, full=0)


class LocalBuckets:
    """The buckets of this process at a plan's rate divided by `processes`: together they keep to the plan."""

    def __init__(self, processes: int, buckets: int = MAX_BUCKETS) -> None:
        self._processes = processes
        self._buckets = buckets
        self._levels: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def take(self, name: str, rate: Rate | None, *, cost: int, now: int) -> Decision:
        """`name`: the bucket's; `now`: microseconds of any clock that never goes back."""
        if rate is None:
            return UNLIMITED
        token = UNITS * self._processes
        full = token * max(1, cost, rate.burst // self._processes)
        level, at = self._levels.get(name, (full, now))
        level = min(full, level + (now - at) * rate.per_minute)
        allowed = level >= cost * token
        if allowed:
            level -= cost * token
        self._levels[name] = level, now
        self._levels.move_to_end(name)
        if len(self._levels) > self._buckets:
            self._levels.popitem(last=False)
        return Decision(
            allowed,
            left=level // token,
            next_token=-(-max(0, token * max(1, cost) - level) // rate.per_minute),
            full=-(-(full - level) // rate.per_minute),
        )
