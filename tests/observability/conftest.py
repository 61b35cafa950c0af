"""A stack that tests may break, and a Prometheus that watches it."""

from collections.abc import Iterator

import pytest

from tests.faults.broken import QUICK, Breakable
from tests.observability.nodes import HangingNode
from tests.observability.prometheus import Prometheus, watching
from tests.stack import discard

# Queues that are soon full, and keys that are soon old.
SMALL = {
    **QUICK,
    "PENDING_SECONDS": "300",
    "BOX_QUEUE": "3",
    "RENDER_THREADS": "1",
    "RENDER_QUEUE": "2",
    "KEY_FRESH_SECONDS": "1",
}


@pytest.fixture(scope="session")
def node() -> HangingNode:
    """A second node of EDGES, which does not listen until it is told to hang."""
    return HangingNode()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, node: HangingNode) -> Iterator[Breakable]:
    folder = tmp_path_factory.mktemp("observed") / "var"
    running = Breakable(folder, {**SMALL, "EDGES": node.url})
    yield running
    running.stop()
    discard(folder)


@pytest.fixture(scope="session")
def prometheus(stack: Breakable, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with watching(stack, tmp_path_factory.mktemp("prometheus")) as running:
        yield running


@pytest.fixture(scope="session")
def key(stack: Breakable) -> str:
    return stack.create_account("unlimited")
