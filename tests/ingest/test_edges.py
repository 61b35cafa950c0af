"""Telling nginx nodes of a delete: real ones, and servers that hang, refuse or answer nonsense."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from deploy.local.nginx import hosts
from libs.settings import Secret
from services.ingest.edges import AT_ONCE, Edges, Told, open_edges
from tests.faults.nodes import Node
from tests.ingest.conftest import CONTROL_SECRET
from tests.servers import short_folder
from tests.stack import free_port

pytestmark = pytest.mark.anyio

ID: Final = "img_00000000000000aa"
MANY: Final = [f"img_{number:016x}" for number in range(200)]


class FakeNode:
    """Takes connections; answers each request with `answer`, or nothing at all."""

    def __init__(self, answer: bytes = b"") -> None:
        self.answer = answer
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(self.answer)
        except asyncio.IncompleteReadError:
            writer.close()


@asynccontextmanager
async def serving(fake: FakeNode) -> AsyncGenerator[str]:
    """Its name in EDGES."""
    with short_folder() as folder:
        async with await asyncio.start_unix_server(fake.serve, folder / "control.sock"):
            yield f"unix:{folder}/control.sock"


@asynccontextmanager
async def telling(*names: str, secret: str = CONTROL_SECRET, seconds: float = 1.0) -> AsyncGenerator[Edges]:
    async with open_edges(",".join(names), Secret(secret), seconds) as edges:
        yield edges


async def test_a_node_acknowledges_when_the_tombstone_is_written(node: Node, edges: Edges) -> None:
    for _ in range(2):
        assert await edges.tombstone([ID]) == Told(acknowledged={node.edge})
        assert (node.tombstones / ID).read_bytes() == b""


async def test_many_pictures_have_a_tombstone_each(node: Node, edges: Edges) -> None:
    assert await edges.tombstone(MANY) == Told(acknowledged={node.edge})
    assert {path.name for path in node.tombstones.iterdir()} >= set(MANY)


async def test_a_wrong_secret_writes_nothing_and_is_no_acknowledgement(node: Node) -> None:
    unknown = "img_ffffffffffffffff"
    async with telling(node.edge, secret="another") as edges:
        assert await edges.tombstone([unknown]) == Told(hung={node.edge})
    assert not (node.tombstones / unknown).exists()


async def test_a_node_that_is_down_refuses(tmp_path: Path) -> None:
    """Whether its socket is gone, is left over, or is a closed port."""
    with short_folder() as folder, socket.socket(socket.AF_UNIX) as leftover:
        leftover.bind(str(folder / "leftover.sock"))
        names = {
            f"unix:{folder}/none.sock",
            f"unix:{folder}/leftover.sock",
            f"http://127.0.0.1:{free_port()}",
        }
        async with telling(*names) as edges:
            assert await edges.tombstone([ID]) == Told(refused=names)


async def test_a_node_that_takes_the_connection_and_answers_nothing_is_hung(node: Node) -> None:
    async with serving(FakeNode()) as hung, telling(hung, node.edge) as edges:
        assert await edges.tombstone([ID]) == Told(acknowledged={node.edge}, hung={hung})


async def test_a_hung_node_costs_one_timeout_however_many_pictures_there_are(node: Node) -> None:
    fake = FakeNode()
    async with serving(fake) as hung, telling(hung, node.edge, seconds=0.3) as edges:
        assert await edges.tombstone(MANY) == Told(acknowledged={node.edge}, hung={hung})
    assert fake.connections <= AT_ONCE


@pytest.mark.parametrize("answer", [b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", b"nonsense\r\n\r\n"])
async def test_any_other_answer_is_no_acknowledgement(answer: bytes) -> None:
    async with serving(FakeNode(answer)) as broken, telling(broken) as edges:
        assert await edges.tombstone([ID]) == Told(hung={broken})


async def test_every_address_behind_a_name_is_a_node() -> None:
    fake = FakeNode(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
    port = free_port()
    expected = {f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}" for host in hosts()}
    async with (
        await asyncio.start_server(fake.serve, hosts(), port),
        telling(f"http://localhost:{port}") as edges,
    ):
        assert await edges.tombstone([ID]) == Told(acknowledged=expected)
    assert fake.connections == len(expected)


async def test_a_name_that_does_not_resolve_may_be_a_node_that_hangs() -> None:
    name = "http://nowhere.invalid:8081"
    async with telling(name) as edges:
        assert await edges.tombstone([ID]) == Told(hung={name})


async def test_nodes_can_be_left_out(node: Node) -> None:
    async with telling(node.edge) as edges:
        assert await edges.tombstone([ID], but={node.edge}) == Told()


def test_what_was_heard_of_a_node_last_counts() -> None:
    told = Told(acknowledged={"a", "b"}, refused={"c"}, hung={"d"})
    told.add(Told(acknowledged={"c"}, refused={"d"}, hung={"a"}))
    assert told == Told(acknowledged={"b", "c"}, refused={"d"}, hung={"a"})
