"""The operator's command for pictures, as a process on real servers."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from libs.objects import Objects
from libs.pictures import object_names
from tests.faults.nodes import Node
from tests.ingest.conftest import CONTROL_SECRET
from tests.servers import PostgresServer

pytestmark = pytest.mark.anyio

ID: Final = "img_0000000000000001"


@pytest.fixture
def name(server: PostgresServer) -> str:
    return server.create_database()


@pytest.fixture
def environment(server: PostgresServer, name: str, node: Node, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": server.url(name),
        "OBJECTS_URL": f"file://{tmp_path}/objects",
        "EDGES": node.edge,
        "EDGE_TIMEOUT_SECONDS": "0.5",
        "CONTROL_SECRET": CONTROL_SECRET,
    }


def admin(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.ingest.admin", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
async def picture(environment: dict[str, str], server: PostgresServer, name: str, objects: Objects) -> str:
    """Of an account that the operator does not name."""
    assert admin(environment, "delete-image", ID).returncode == 1  # makes the schema
    server.psql(
        name,
        "INSERT INTO ingest.images (image_id, account_id, user_id, status, file_size)"
        f" VALUES ('{ID}', 'acct_a', 'u', 'ready', 1)",
    )
    for each in object_names(ID):
        await objects.put(each, b"x", {})
    return ID


async def test_a_picture_of_any_account_is_taken_down(
    environment: dict[str, str], picture: str, node: Node, objects: Objects
) -> None:
    (node.tombstones / picture).unlink(missing_ok=True)
    done = admin(environment, "delete-image", picture)
    assert (done.returncode, done.stdout) == (0, f"{picture}: deleted 5 objects, told 1 nodes\n")
    assert (node.tombstones / picture).exists()
    assert await objects.head(object_names(picture)[0]) is None
    again = admin(environment, "delete-image", picture)
    assert (again.returncode, again.stdout) == (1, "")
    assert "no such picture" in again.stderr


async def test_a_node_that_hangs_is_said(environment: dict[str, str], picture: str, node: Node) -> None:
    with node.hung():
        done = admin(environment, "delete-image", picture)
    assert done.returncode == 3
    assert "goes on with it" in done.stderr


def test_a_postgres_that_is_away_is_said(environment: dict[str, str]) -> None:
    nowhere = environment | {"DATABASE_URL": "postgresql:///x?host=/nowhere&user=x"}
    done = admin(nowhere, "delete-image", ID)
    assert done.returncode == 2
    assert "try again" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [[], ["delete-image"], ["delete-image", "x"], ["explode"]])
def test_what_is_no_command_is_explained(environment: dict[str, str], arguments: list[str]) -> None:
    done = admin(environment, *arguments)
    assert done.returncode == 2
    assert "usage: " in done.stderr
