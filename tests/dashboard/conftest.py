"""A browser, visitors with profiles of their own, and pictures to drop."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Error, sync_playwright

from tests import pictures
from tests.dashboard.visitor import Visitor
from tests.programs import left_out, packages, program
from tests.stack import Stack

HERE: Final = Path(__file__).parent

MakeVisitor = Callable[..., Visitor]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium without a window. Its sandbox does not start as root.

    For one module: while Playwright is there it runs an event loop in this thread, where others want theirs.
    """
    command = shlex.join([sys.executable, str(HERE / "chromium.py"), program("chromium")])
    path = tmp_path_factory.mktemp("chromium") / "chromium"
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(0o700)
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        try:
            running = playwright.chromium.launch(executable_path=path, args=options)
        except Error as error:
            left_out(f"chromium does not start: {error}")
        yield running
        running.close()


@pytest.fixture
def make_visitor(browser: Browser, stack: Stack) -> Iterator[MakeVisitor]:
    """`make_visitor(stack=..., color_scheme="dark", ...)`. In none of them may anything have gone wrong."""
    visitors: list[Visitor] = []

    def make(*, stack: Stack = stack, **options: Any) -> Visitor:
        visitors.append(Visitor(browser, stack, **options))
        return visitors[-1]

    yield make
    for visitor in visitors:
        visitor.close()
    assert [visitor.complaints for visitor in visitors] == [[] for _ in visitors]


@pytest.fixture
def visitor(make_visitor: MakeVisitor) -> Visitor:
    return make_visitor()


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JPEG of 640 x 480."""
    path = tmp_path_factory.mktemp("pictures") / "avatar.jpg"
    path.write_bytes(pictures.jpeg(640, 480))
    return path


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    return (packages(HERE) / "axe-core" / "axe.min.js").read_text()
