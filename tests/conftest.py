"""The fixtures that every folder of tests may use."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from tests.containers.images import engine_answers
from tests.containers.stack import ComposeStack
from tests.stack import Stack, discard

# All tests come from one address.
MANY_DOORS: Final = {"SIGNUPS_PER_ADDRESS_HOUR": "100000", "SIGN_INS_PER_ADDRESS_HOUR": "100000"}

CONTAINERS: Final = Path(__file__).parent / "containers"

MakeStack = Callable[..., Stack]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--compose", action="store_true", help="run on the stack of deploy/compose.yml")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The compose stack stays up until the end: as the last, it costs the others nothing."""
    items.sort(key=lambda item: CONTAINERS in item.path.parents)


@pytest.fixture(scope="session")
def compose_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeStack]:
    """The stack of containers, up and healthy from nothing, with one container a service."""
    if not engine_answers():
        pytest.skip("no container engine answers")
    quick = {"JANITOR_SECONDS": "0.5", "PICTURE_BUDGET_SECONDS": "1e6"}
    # The store that stands in keeps everything in its memory.
    settings = {**MANY_DOORS, **quick, "SIGNUP": "open", "OBJECTS_MEMORY": "2g"}
    running = ComposeStack(tmp_path_factory.mktemp("compose"), settings)
    try:
        running.up()
        yield running
    finally:
        running.down()


@pytest.fixture(scope="session")
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack | ComposeStack]:
    """One stack for all tests that leave it as they found it."""
    if request.config.getoption("--compose"):
        yield request.getfixturevalue("compose_stack")
        return
    state_dir = tmp_path_factory.mktemp("stack") / "var"
    running = Stack(state_dir, MANY_DOORS | {"USAGE_SECONDS": "0.3"})
    yield running
    running.stop()
    discard(state_dir)


@pytest.fixture
def make_stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStack]:
    """Starts stacks for one test: `make_stack({"PLANS": ...}, state_dir=..., command=..., checkout=...)`."""
    if request.config.getoption("--compose"):
        pytest.skip("starts a stack of plain processes")
    with ExitStack() as stacks:

        def make(
            environment: Mapping[str, str] | None = None, *, state_dir: Path | None = None, **options: Any
        ) -> Stack:
            folder = state_dir or tmp_path / "var"
            stacks.callback(discard, folder)
            running = Stack(folder, environment, **options)
            stacks.callback(running.stop)
            return running

        yield make
