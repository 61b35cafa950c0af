"""Requests at a set rate, which leave on time whatever becomes of those before; or just so many."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle, islice
from statistics import quantiles
from typing import Final

import msgspec
import uvloop

TIMEOUT_SECONDS: Final = 10
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Pace(msgspec.Struct, frozen=True):
    """Milliseconds from a request's last byte out to its answer's last byte in."""

    p50: float
    p99: float


def pace(port: int, paths: Iterable[str], rate: float, seconds: float, headers: str = "") -> Pace:
    """GET `paths`, over and over, `rate` times a second; `headers` are lines that end in CRLF.

    Raises RuntimeError where an answer was not 200.
    """
    client = _Client(port, headers)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        latencies = runner.run(client.run(list(islice(cycle(paths), int(rate * seconds))), rate))
    cuts = quantiles(latencies, n=100)
    return Pace(cuts[49] * 1000, cuts[98] * 1000)


def ask(port: int, paths: Sequence[str], connections: int = 16) -> None:
    """GET each of `paths` once, as fast as they are answered: for filling, not for measuring."""
    client = _Client(port, "")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(client.all(iter(paths), connections))


class _Client:
    """Takes a connection that is free, or opens one more: no request waits for another."""

    def __init__(self, port: int, headers: str) -> None:
        self._port = port
        self._headers = headers
        self._free: list[Connection] = []

    async def run(self, paths: list[str], rate: float) -> list[float]:
        began = time.perf_counter()
        tasks = []
        for number, path in enumerate(paths):
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            tasks.append(asyncio.create_task(self._get(path)))
        latencies = await asyncio.gather(*tasks)
        self._close()
        return latencies

    async def all(self, paths: Iterator[str], connections: int) -> None:
        async def some() -> None:
            for path in paths:
                await self._get(path)

        await asyncio.gather(*(some() for _ in range(connections)))
        self._close()

    def _close(self) -> None:
        for _, writer in self._free:
            writer.close()

    async def _get(self, path: str) -> float:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            if not self._free:
                self._free.append(await asyncio.open_connection("127.0.0.1", self._port, limit=2**22))
            reader, writer = connection = self._free.pop()
            started = time.perf_counter()
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n{self._headers}\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(_length(head))
            seconds = time.perf_counter() - started
        if b" 200 " not in head[:16]:
            raise RuntimeError(f"{path}: {head[:200]!r}")
        self._free.append(connection)
        return seconds


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    raise RuntimeError(f"an answer without a length: {head!r}")
