"""PostgreSQL, a folder of objects and the nginx nodes that deletes are told to: all real."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Final

import pytest

from libs.database import Database, open_database
from libs.objects import Objects
from libs.objects.folder import open_folder
from libs.settings import Secret
from services.ingest.app import MIGRATIONS
from services.ingest.deletions import Deletions
from services.ingest.edges import Edges, open_edges
from services.ingest.images import Images
from tests.containers.servers import contained_postgres
from tests.faults.nodes import SERVICES, Node, new_node
from tests.records import MISCOUNTED
from tests.servers import PostgresServer

CONTROL_SECRET: Final = "a-secret-of-the-nodes"
EDGE_SECONDS: Final = 1.0


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A container, where an engine answers."""
    with contained_postgres() as server:
        yield server


@pytest.fixture
async def database(server: PostgresServer) -> AsyncGenerator[Database]:
    """After every test the counters of what is stored are what a count says."""
    async with open_database(server.url(server.create_database()), "ingest", MIGRATIONS, 5) as database:
        yield database
        assert await database.fetch(MISCOUNTED) == []


@pytest.fixture
def images(database: Database) -> Images:
    return Images(database)


@pytest.fixture
async def objects(tmp_path: Path) -> AsyncGenerator[Objects]:
    async with open_folder(tmp_path / "objects", 4) as folder:
        yield folder


def make_node() -> Iterator[Node]:
    """An nginx with no service behind it."""
    with new_node() as node:
        node.render({service: [Path("/nowhere.sock")] for service in SERVICES}, CONTROL_SECRET)
        node.start()
        yield node


node = pytest.fixture(scope="session")(make_node)
other_node = pytest.fixture(scope="session")(make_node)


@pytest.fixture
async def edges(node: Node) -> AsyncGenerator[Edges]:
    """One node."""
    async with open_edges(node.edge, Secret(CONTROL_SECRET), EDGE_SECONDS) as edges:
        yield edges


@pytest.fixture
async def both_edges(node: Node, other_node: Node) -> AsyncGenerator[Edges]:
    async with open_edges(f"{node.edge},{other_node.edge}", Secret(CONTROL_SECRET), EDGE_SECONDS) as edges:
        yield edges


@pytest.fixture
def deletions(database: Database, objects: Objects, edges: Edges) -> Deletions:
    return Deletions(database, objects, edges)
