"""What else a user could run: thumbor and ipx as released, each as its documentation says."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from tests.bench.copies import Files
from tests.bench.processes import running, wait_for_port
from tests.bench.progress import say
from tests.stack import free_port

PROCESSES: Final = 2

# The original is read from a folder, and nothing is kept: each request is a cold one.
THUMBOR_CONF: Final = """
LOADER = 'thumbor.loaders.file_loader'
FILE_LOADER_ROOT_PATH = '{folder}'
STORAGE = 'thumbor.storages.no_storage'
RESULT_STORAGE = None
ALLOW_UNSAFE_URL = True
"""


class Peer(msgspec.Struct, frozen=True):
    """A server that answers on `ports`, one for each of its processes."""

    name: str
    version: str
    ports: list[int]
    files: Files
    square: str  # the path of a 150 x 150 JPEG of {name}
    wide: str  # the path of a 400-wide WebP of {name}


@contextmanager
def running_peers(folder: Path) -> Iterator[list[Peer]]:
    """thumbor and ipx, installed below `folder` where they are not yet."""
    with ExitStack() as stack:
        yield [stack.enter_context(_ipx(folder / "ipx")), stack.enter_context(_thumbor(folder / "thumbor"))]


@contextmanager
def _ipx(home: Path) -> Iterator[Peer]:
    """`ipx serve`, with NODE_ENV=production."""
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "node_modules" / "ipx").exists():
        (home / "package.json").write_text('{"private": true, "type": "module"}')
        _install(["npm", "install", "--no-audit", "--no-fund", "ipx"], home)
    files = Files(home / "pictures")
    environment = {**os.environ, "NODE_ENV": "production"}
    with ExitStack() as stack:
        ports = [free_port() for _ in range(PROCESSES)]
        for port in ports:
            command = ["node", "node_modules/ipx/dist/cli.mjs", "serve", "--dir", str(home / "pictures")]
            command += ["--port", str(port), "--host", "127.0.0.1"]
            stack.enter_context(running(command, home / "log", environment, home))
        for port in ports:
            wait_for_port(port)
        versions = {name: _node_version(home, name) for name in ("ipx", "sharp")}
        yield Peer(
            "ipx",
            f"ipx {versions['ipx']} on sharp {versions['sharp']}",
            ports,
            files,
            "/s_150x150,fit_cover,q_85,f_jpeg/{name}",
            "/w_400,q_85,f_webp/{name}",
        )


@contextmanager
def _thumbor(home: Path) -> Iterator[Peer]:
    """One thumbor a port, as its page on hosting has it under a supervisor."""
    home.mkdir(parents=True, exist_ok=True)
    programs = home / "venv" / "bin"
    if not (programs / "thumbor").exists():
        _install([sys.executable, "-m", "venv", str(home / "venv")], home)
        _install([str(programs / "pip"), "install", "--quiet", "thumbor"], home)
    files = Files(home / "pictures")
    config = home / "thumbor.conf"
    config.write_text(THUMBOR_CONF.format(folder=home / "pictures"))
    with ExitStack() as stack:
        ports = [free_port() for _ in range(PROCESSES)]
        for port in ports:
            command = [
                str(programs / "thumbor"),
                "--ip",
                "127.0.0.1",
                "--port",
                str(port),
                "--conf",
                str(config),
            ]
            stack.enter_context(running(command, home / "log", os.environ))
        for port in ports:
            wait_for_port(port)
        version = _output([str(programs / "thumbor"), "--version"]).split()[-1].lstrip("v")
        pillow = _output([str(programs / "python"), "-c", "import PIL; print(PIL.__version__)"])
        yield Peer(
            "thumbor",
            f"thumbor {version} on Pillow {pillow}",
            ports,
            files,
            "/unsafe/150x150/filters:quality(85):format(jpeg)/{name}",
            "/unsafe/400x0/filters:quality(85):format(webp)/{name}",
        )


def _install(command: list[str], home: Path) -> None:
    say(f"installing {home.name}: {' '.join(command[-2:])}")
    subprocess.run(command, cwd=home, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def _node_version(home: Path, package: str) -> str:
    manifest = (home / "node_modules" / package / "package.json").read_bytes()
    return str(msgspec.json.decode(manifest)["version"])


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
