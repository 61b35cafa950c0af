"""A cache of bytes that is small and short: so much memory, so many seconds, the oldest out first."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memory(Generic[K, V]):
    """Holds at most `max_bytes`, each value for at most `seconds`; `size` says what a value weighs."""

    def __init__(
        self,
        max_bytes: int,
        seconds: float,
        size: Callable[[V], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._size = size
        self._clock = clock
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self.bytes = 0

    def get(self, key: K) -> V | None:
        self._expire()
        entry = self._entries.get(key)
        return entry[1] if entry else None

    def put(self, key: K, value: V) -> None:
        """Remember `value`, unless it alone would push out half of the rest."""
        self._drop(key)
        if self._size(value) > self._max_bytes // 2:
            return
        self._entries[key] = self._clock() + self._seconds, value
        self.bytes += self._size(value)
        while self.bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def weight(self) -> int:
        """What it holds now weighs."""
        self._expire()
        return self.bytes

    def _expire(self) -> None:
        """Entries all live equally long, so the first is the first to go."""
        now = self._clock()
        while self._entries:
            key, (expires, _) = next(iter(self._entries.items()))
            if expires > now:
                return
            self._drop(key)

    def _drop(self, key: K) -> None:
        entry = self._entries.pop(key, None)
        if entry:
            self.bytes -= self._size(entry[1])
