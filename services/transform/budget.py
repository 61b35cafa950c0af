"""A render budget per picture: asking for every size of one picture must not cost the others theirs."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from prometheus_client import Counter

from libs.errors import RATE_LIMIT_EXCEEDED, ApiError

REFUSALS: Final = Counter(
    "render_budget_refusals_total", "Renders refused because their picture cost too much"
)
MAX_PICTURES: Final = 10_000


class Budget:
    """Each picture may cost `seconds` of rendering at once, and `refill` more in every second that passes."""

    def __init__(self, seconds: float, refill: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._refill = refill
        self._clock = clock
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()  # seconds owed, as of when

    def check(self, image_id: str) -> None:
        """Raises RATE_LIMIT_EXCEEDED with Retry-After while the picture's budget is spent."""
        over = self._owed(image_id) - self._seconds
        if over >= 0:
            REFUSALS.inc()
            wait = max(1, math.ceil(over / self._refill))
            raise ApiError(
                RATE_LIMIT_EXCEEDED,
                "Too much of this picture was rendered lately; ask again after the seconds in Retry-After",
                {"Retry-After": str(wait)},
            )

    def charge(self, image_id: str, seconds: float) -> None:
        self._spent[image_id] = self._owed(image_id) + seconds, self._clock()
        self._spent.move_to_end(image_id)
        if len(self._spent) > MAX_PICTURES:
            self._spent.popitem(last=False)

    def _owed(self, image_id: str) -> float:
        owed, since = self._spent.get(image_id, (0.0, 0.0))
        return max(0.0, owed - (self._clock() - since) * self._refill)
