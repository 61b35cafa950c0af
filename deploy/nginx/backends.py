"""Finds the processes of a service by its name, and which of them take requests."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from enum import Enum
from ipaddress import ip_address
from typing import Final, NamedTuple

ASKING: Final = b"GET /livez HTTP/1.0\r\n\r\n"
PATIENCE: Final = 3  # probes in a row without an answer: a busy process is not a dead one


class Health(Enum):
    OK = "ok"
    DRAINING = "draining"  # was asked to stop, and goes on for a while
    REFUSED = "refused"
    SILENT = "silent"


class Address(NamedTuple):
    host: str
    port: int


Resolve = Callable[[], Awaitable[Iterable[Address]]]


class Backends:
    """Of one service; `resolve` gives the addresses of all of its processes, or raises OSError."""

    def __init__(self, resolve: Resolve, timeout_seconds: float) -> None:
        self._resolve = resolve
        self._timeout_seconds = timeout_seconds
        self._resolved: frozenset[Address] = frozenset()
        self._silent: dict[Address, int] = {}
        self._chosen: tuple[Address, ...] = ()

    async def find(self) -> tuple[Address, ...]:
        """Those to send requests to, in the same order on every node.

        A name that cannot be resolved says nothing about the processes: the ones known before are asked.
        """
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._timeout_seconds):
                self._resolved = frozenset(await self._resolve())
        asked = sorted(self._resolved)
        answers = await asyncio.gather(*(self._probe(address) for address in asked))
        self._chosen = self._choose(dict(zip(asked, answers, strict=True)))
        return self._chosen

    def _choose(self, health: Mapping[Address, Health]) -> tuple[Address, ...]:
        self._silent = {
            address: self._silent.get(address, 0) + 1 for address, it in health.items() if it is Health.SILENT
        }
        patient = [
            address
            for address, it in health.items()
            if it is Health.OK or (address in self._chosen and 0 < self._silent.get(address, 0) < PATIENCE)
        ]
        # The last ones are kept whatever they say: a request that fails there would fail anyway.
        return tuple(
            patient or [address for address, it in health.items() if it is Health.DRAINING] or self._chosen
        )

    async def _probe(self, address: Address) -> Health:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                reader, writer = await asyncio.open_connection(address.host.strip("[]"), address.port)
                try:
                    writer.write(ASKING)
                    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
                finally:
                    writer.close()
        except TimeoutError:
            return Health.SILENT
        except OSError:
            return Health.REFUSED
        if b" 200 " not in head.partition(b"\r\n")[0]:
            return Health.REFUSED
        return Health.DRAINING if body == b"draining" else Health.OK


async def resolve(name: str, port: int) -> list[Address]:
    """Every address behind a name."""
    found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return [Address(_host(str(address[0])), int(address[1])) for *_, address in found]


def _host(host: str) -> str:
    """As nginx writes it."""
    return f"[{host}]" if ip_address(host).version == 6 else host
