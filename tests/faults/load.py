"""A bounded load: so many clients, each with one request at a time, for as long as a block runs."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import NamedTuple

import httpx2

from tests.e2e import calls

Ask = Callable[[httpx2.Client, int], str]


class Sample(NamedTuple):
    """One request: when it began, how long it took, and what came of it in a word."""

    began: float
    seconds: float
    outcome: str


class Load:
    """`ask` makes the request of that number and says in a word what came of it; an exception is "failed"."""

    def __init__(
        self,
        stack: calls.Served,
        ask: Ask,
        *,
        key: str | None = None,
        clients: int = 4,
        pause_seconds: float = 0.0,
        make_client: Callable[[], httpx2.Client] | None = None,
    ) -> None:
        self._ask = ask
        self._make_client = make_client or partial(calls.client, stack, key)
        self._clients = clients
        self._pause_seconds = pause_seconds
        self._numbers = count()
        self._stop = threading.Event()
        self.samples: list[Sample] = []

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(sample.outcome for sample in self.samples)

    @property
    def seconds(self) -> list[float]:
        return [sample.seconds for sample in self.samples]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Every client has had an answer before the block begins."""
        barrier = threading.Barrier(self._clients + 1)
        threads = [threading.Thread(target=self._run, args=(barrier,)) for _ in range(self._clients)]
        for thread in threads:
            thread.start()
        barrier.wait(60)
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def run_for(self, seconds: float) -> "Load":
        with self.running():
            time.sleep(seconds)
        return self

    def _run(self, barrier: threading.Barrier) -> None:
        with self._make_client() as client:
            self._once(client)
            barrier.wait(60)
            while not self._stop.wait(self._pause_seconds):
                self._once(client)

    def _once(self, client: httpx2.Client) -> None:
        began = time.monotonic()
        try:
            outcome = self._ask(client, next(self._numbers))
        except (httpx2.HTTPError, AssertionError, OSError) as error:
            outcome = f"failed: {error!r}"
        self.samples.append(Sample(began, time.monotonic() - began, outcome))


def outcome(answer: httpx2.Response) -> str:
    """The status; a 503 counts as "503" only in the one form and with Retry-After."""
    if answer.status_code == 503:
        assert calls.refusal(answer) == (503, "SERVICE_UNAVAILABLE")
        assert int(answer.headers["retry-after"]) > 0
    return str(answer.status_code)
