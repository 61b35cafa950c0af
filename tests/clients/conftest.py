"""The documented clients as programs, each with what it needs to run."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import pytest
import pyvips

from tests import programs
from tests.stack import Stack

HERE: Final = Path(__file__).parent
RUN_SECONDS: Final = 60


class Client(NamedTuple):
    """A program that takes a picture and where to write its 150x150 rendering."""

    command: list[str]
    base_url: str

    def upload(self, picture: Path, key: str, rendering: Path) -> str:
        """What it prints: the picture's URL, or the code of the error."""
        environment = os.environ | {"BASE_URL": self.base_url, "API_KEY": key}
        done = subprocess.run(
            [*self.command, str(picture), str(rendering)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def _curl() -> list[str]:
    programs.program("curl")
    return ["sh", str(HERE / "curl.sh")]


def _httparty() -> list[str]:
    return [*programs.ruby("httparty"), str(HERE / "httparty.rb")]


def _faraday() -> list[str]:
    # The documented code does not load JSON: Rails does, and Faraday 2.
    return [*programs.ruby("faraday"), "-rjson", str(HERE / "faraday.rb")]


def _node_fetch() -> list[str]:
    return [*programs.node(), str(HERE / "node_fetch.js")]


def _native_fetch() -> list[str]:
    return [*programs.node(), str(HERE / "native_fetch.mjs")]


CLIENTS: Final[dict[str, Callable[[], list[str]]]] = {
    "curl": _curl,
    "httparty": _httparty,
    "faraday": _faraday,
    "node-fetch": _node_fetch,
    "native-fetch": _native_fetch,
}


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, stack: Stack) -> Client:
    return Client(CLIENTS[request.param](), stack.base_url)


@pytest.fixture(scope="session")
def key(stack: Stack) -> str:
    return stack.create_account(plan="unlimited", name="clients")


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JPEG of 640x480 pixels."""
    path = tmp_path_factory.mktemp("pictures") / "avatar.jpg"
    pyvips.Image.gaussnoise(640, 480, sigma=30, mean=128).cast("uchar").jpegsave(str(path))
    return path
