"""Stacks that tests may break; each test leaves them whole."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests import pictures
from tests.e2e import calls
from tests.faults.broken import QUICK, Breakable
from tests.faults.nodes import Pair, running_pair
from tests.stack import discard


@pytest.fixture(scope="session")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Breakable]:
    """Two processes of each service on a folder of objects; what failed is cleaned up within seconds."""
    folder = tmp_path_factory.mktemp("faults")
    failpoints = folder / "failpoints"
    failpoints.mkdir()
    running = Breakable(folder / "var", {**QUICK, "FAILPOINTS_DIR": str(failpoints)})
    yield running
    running.stop()
    discard(folder / "var")


@pytest.fixture(scope="session")
def key(breakable: Breakable) -> str:
    """Of an account without limits."""
    return breakable.create_account("unlimited")


@pytest.fixture(scope="session")
def api(breakable: Breakable, key: str) -> Iterator[httpx2.Client]:
    with calls.client(breakable, key) as client:
        yield client


@pytest.fixture(scope="session")
def cdn(breakable: Breakable) -> Iterator[httpx2.Client]:
    """Has no key."""
    with calls.client(breakable) as client:
        yield client


@pytest.fixture(scope="session")
def picture() -> bytes:
    """A JPEG of 600 x 400 pixels: every rung of the ladder but the largest."""
    return pictures.jpeg(600, 400)


@pytest.fixture(scope="session")
def image_id(api: httpx2.Client, picture: bytes) -> str:
    made: str = calls.upload(api, picture)["image_id"]
    return made


@pytest.fixture
def failpoints(breakable: Breakable) -> Path:
    return Path(breakable.environment["FAILPOINTS_DIR"])


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A stack and a second nginx node beside it."""
    with running_pair(tmp_path_factory.mktemp("pair") / "var") as running:
        yield running
