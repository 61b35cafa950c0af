"""The fixtures that every folder of tests may use."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from tests.stack import Stack, discard

# All tests come from one address.
MANY_DOORS: Final = {"SIGNUPS_PER_ADDRESS_HOUR": "100000", "SIGN_INS_PER_ADDRESS_HOUR": "100000"}

MakeStack = Callable[..., Stack]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all tests that leave it as they found it."""
    state_dir = tmp_path_factory.mktemp("stack") / "var"
    running = Stack(state_dir, MANY_DOORS | {"USAGE_SECONDS": "0.3"})
    yield running
    running.stop()
    discard(state_dir)


@pytest.fixture
def make_stack(tmp_path: Path) -> Iterator[MakeStack]:
    """Starts stacks for one test: `make_stack({"PLANS": ...}, state_dir=..., command=..., checkout=...)`."""
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
