"""The documented clients as programs, each with what it needs to run."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

import pytest
import pyvips

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
    return ["sh", str(HERE / "curl.sh")] if _program("curl") else []


def _httparty() -> list[str]:
    _ruby_library("httparty")
    return ["ruby", str(HERE / "httparty.rb")]


def _faraday() -> list[str]:
    _ruby_library("faraday")
    # Faraday 2 has a gem of that name, Faraday 1 has it built in.
    has_gem = _succeeds(["ruby", "-e", "require 'faraday/multipart'"])
    load_path = [] if has_gem else ["-I", str(HERE / "load_path")]
    # The documented code does not load JSON: Rails does, and Faraday 2.
    return ["ruby", "-rjson", *load_path, str(HERE / "faraday.rb")]


def _node_fetch() -> list[str]:
    _node_libraries()
    return ["node", str(HERE / "node_fetch.js")]


def _native_fetch() -> list[str]:
    _node_libraries()
    return ["node", str(HERE / "native_fetch.mjs")]


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


def _node_libraries() -> None:
    """Install what the lock names, unless it is there already."""
    _program("node")
    installed, lock = HERE / "node_modules" / ".package-lock.json", HERE / "package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    command = [_program("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        _left_out(f"npm ci failed: {done.stderr[-500:]}")


def _ruby_library(name: str) -> None:
    if not _succeeds([_program("ruby"), "-e", f"require '{name}'"]):
        _left_out(f"Ruby's {name} is not installed")


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        _left_out(f"{name} is not installed")
    return path


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _left_out(reason: str) -> NoReturn:
    """A machine without Ruby or Node may leave their tests out, the one that decides may not."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
