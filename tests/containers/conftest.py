"""The one compose stack that these tests share, and its clients."""

from collections.abc import Iterator

import httpx2
import pytest

from tests import pictures
from tests.containers.stack import ComposeStack, engine_answers
from tests.e2e import calls


@pytest.fixture(scope="session")
def engine() -> None:
    if not engine_answers():
        pytest.skip("no container engine answers")


@pytest.fixture(scope="session")
def stack(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeStack]:
    """Up and healthy from nothing, with one container a service."""
    running = ComposeStack(tmp_path_factory.mktemp("compose"), {"JANITOR_SECONDS": "0.5"})
    try:
        running.up()
        yield running
    finally:
        running.down()


@pytest.fixture(scope="session")
def key(stack: ComposeStack) -> str:
    return stack.create_account("unlimited")


@pytest.fixture(scope="session")
def api(stack: ComposeStack, key: str) -> Iterator[httpx2.Client]:
    with calls.client(stack, key) as client:
        yield client


@pytest.fixture(scope="session")
def cdn(stack: ComposeStack) -> Iterator[httpx2.Client]:
    """Has no key."""
    with calls.client(stack) as client:
        yield client


@pytest.fixture(scope="session")
def picture() -> bytes:
    return pictures.jpeg(600, 400)
