"""The one compose stack that these tests share, and its clients."""

from collections.abc import Iterator

import httpx2
import pytest

from tests import pictures
from tests.containers.stack import ComposeStack
from tests.e2e import calls


@pytest.fixture(scope="session")
def stack(compose_stack: ComposeStack) -> ComposeStack:
    return compose_stack


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
    """Small: the store that stands in keeps everything in its memory."""
    return pictures.jpeg(200, 150)
