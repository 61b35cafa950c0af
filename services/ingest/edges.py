"""The nginx nodes: telling every one of them that a picture is deleted."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import msgspec

from libs.metrics import counter
from libs.settings import Secret

TOLD: Final = counter(
    "edge_tombstones_total",
    "Tombstones sent to nginx nodes, by how that ended",
    end=("acknowledged", "refused", "hung"),
)
AT_ONCE: Final = 16  # requests under way to one node


class Told(msgspec.Struct):
    """Nodes by how they took the news; a node that refuses connections serves nothing."""

    acknowledged: set[str] = msgspec.field(default_factory=set)
    refused: set[str] = msgspec.field(default_factory=set)
    hung: set[str] = msgspec.field(default_factory=set)

    def add(self, other: "Told") -> None:
        """What was heard later counts."""
        for node in other.acknowledged | other.refused | other.hung:
            for nodes in (self.acknowledged, self.refused, self.hung):
                nodes.discard(node)
        self.acknowledged |= other.acknowledged
        self.refused |= other.refused
        self.hung |= other.hung


class Edges:
    """`names`: `unix:/path` of a control socket, or `http://host:port`: each address is a node."""

    def __init__(self, names: Sequence[str], secret: Secret, timeout_seconds: float) -> None:
        self._names = names
        self._timeout_seconds = timeout_seconds
        self._headers = {"Authorization": f"Bearer {secret.reveal()}", "Content-Length": "0"}
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()

    async def tombstone(self, image_ids: Collection[str], but: Collection[str] = ()) -> Told:
        """Tell every node, except those in `but`; a name that does not resolve counts as a hung node."""
        told = Told()
        nodes: set[str] = set()
        for name in self._names:
            if name in but:
                continue
            try:
                nodes.update(await self._resolve(name))
            except OSError:
                told.hung.add(name)
        await asyncio.gather(*(self._tell(node, image_ids, told) for node in nodes.difference(but)))
        return told

    async def _resolve(self, name: str) -> list[str]:
        if name.startswith("unix:"):
            return [name]
        url = urlsplit(name)
        async with asyncio.timeout(self._timeout_seconds):
            found = await asyncio.get_running_loop().getaddrinfo(
                url.hostname, url.port or 80, type=socket.SOCK_STREAM
            )
        return sorted({_address(str(address[0]), int(address[1])) for *_, address in found})

    async def _tell(self, node: str, image_ids: Collection[str], told: Told) -> None:
        """A node that fails once is asked no more: it would cost a time-out for each picture."""
        ends: set[str] = set()
        waiting = iter(image_ids)

        async def work() -> None:
            for image_id in waiting:
                if ends - {"acknowledged"}:
                    return
                ends.add(await self._put(node, image_id))

        await asyncio.gather(*(work() for _ in range(min(AT_ONCE, len(image_ids)))))
        for end in ("hung", "refused", "acknowledged"):
            if end in ends:
                getattr(told, end).add(node)
                return

    async def _put(self, node: str, image_id: str) -> str:
        base = "http://edge" if node.startswith("unix:") else node
        try:
            async with self._session(node).put(f"{base}/tombstones/{image_id}") as response:
                end = "acknowledged" if response.status in (201, 204) else "hung"
        except aiohttp.ClientConnectorError as error:
            gone = isinstance(error.os_error, ConnectionRefusedError | FileNotFoundError)
            end = "refused" if gone else "hung"
        except (aiohttp.ClientError, TimeoutError, OSError):
            end = "hung"
        TOLD.labels(end).inc()
        return end

    def _session(self, node: str) -> aiohttp.ClientSession:
        if node not in self._sessions:
            unix = node.startswith("unix:")
            self._sessions[node] = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(node.removeprefix("unix:"))
                if unix
                else aiohttp.TCPConnector(),
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=self._timeout_seconds),
            )
        return self._sessions[node]


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@asynccontextmanager
async def open_edges(names: str, secret: Secret, timeout_seconds: float) -> AsyncGenerator[Edges]:
    """`names` as in the setting EDGES: separated by commas."""
    edges = Edges([name.strip() for name in names.split(",") if name.strip()], secret, timeout_seconds)
    try:
        yield edges
    finally:
        await edges.close()
