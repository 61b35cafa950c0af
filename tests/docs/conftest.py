"""The page, an account to run its samples with, and clients for both hosts."""

from collections.abc import Iterator

import httpx2
import pytest

from tests import pictures
from tests.docs import page
from tests.docs.page import Element
from tests.e2e import calls
from tests.stack import Stack

USER_ID = "12345"  # of the samples


@pytest.fixture(scope="session")
def source() -> Element:
    """The page as it is in the repository, for tests that need no stack."""
    return page.parse(page.FILE.read_text())


@pytest.fixture(scope="session")
def docs(stack: Stack) -> Element:
    """The page as nginx serves it."""
    with calls.client(stack) as browser:
        return page.parse(browser.get("/docs").text)


@pytest.fixture(scope="session")
def key(stack: Stack) -> str:
    return stack.create_account("unlimited", "docs")


@pytest.fixture(scope="session")
def api(stack: Stack, key: str) -> Iterator[httpx2.Client]:
    with calls.client(stack, key) as client:
        yield client


@pytest.fixture(scope="session")
def avatar() -> bytes:
    """The picture that the page speaks of: 800 x 600, JPEG."""
    return pictures.jpeg(800, 600)


@pytest.fixture
def image_id(api: httpx2.Client, avatar: bytes) -> str:
    """The newer of two pictures of the samples' user."""
    calls.upload(api, avatar, USER_ID)
    made: str = calls.upload(api, avatar, USER_ID)["image_id"]
    return made
