"""Clients of the one stack that these tests share."""

from collections.abc import Iterator

import httpx2
import pytest

from tests import pictures
from tests.e2e import calls
from tests.stack import Stack


@pytest.fixture(scope="session")
def key(stack: Stack) -> str:
    """Of an account without limits, so that no test costs another its tokens."""
    return stack.create_account("unlimited")


@pytest.fixture(scope="session")
def api(stack: Stack, key: str) -> Iterator[httpx2.Client]:
    with calls.client(stack, key) as client:
        yield client


@pytest.fixture(scope="session")
def stranger(stack: Stack) -> Iterator[httpx2.Client]:
    """Another account."""
    with calls.client(stack, stack.create_account("unlimited")) as client:
        yield client


@pytest.fixture(scope="session")
def cdn(stack: Stack) -> Iterator[httpx2.Client]:
    """Has no key."""
    with calls.client(stack) as client:
        yield client


@pytest.fixture(scope="session")
def image_id(api: httpx2.Client) -> str:
    """A JPEG of 60 x 40 pixels."""
    made: str = calls.upload(api, pictures.jpeg(60, 40))["image_id"]
    return made
