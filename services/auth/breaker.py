"""A circuit breaker: stop asking what does not answer, and notice when it does again."""

import time
from collections.abc import Callable
from typing import Final

FAILURES_TO_OPEN: Final = 3
PROBE_SECONDS: Final = 1.0


class Breaker:
    """Opens after three failures in a row; then lets one call a second through until one succeeds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._next_probe = 0.0

    @property
    def open(self) -> bool:
        return self._failures >= FAILURES_TO_OPEN

    def allows(self) -> bool:
        """Whether to make the call; True while open makes the caller the second's probe."""
        if not self.open:
            return True
        now = self._clock()
        if now < self._next_probe:
            return False
        self._next_probe = now + PROBE_SECONDS
        return True

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self) -> None:
        self._failures += 1
        if self._failures == FAILURES_TO_OPEN:
            self._next_probe = self._clock() + PROBE_SECONDS
