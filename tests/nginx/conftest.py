"""The real nginx with the real configuration, in front of a recorder instead of the services."""

import http.client
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from deploy.local import nginx
from deploy.local.settings import Settings
from deploy.local.state import FOLDERS, State
from tests.nginx.recorder import Recorder, recording
from tests.servers import short_folder
from tests.stack import free_port

START_SECONDS: Final = 20
TIMEOUT_SECONDS: Final = 30
SERVICES: Final = ("auth", "ingest", "transform")


class Answer(NamedTuple):
    """Header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Edge:
    """An nginx on a port of its own; one connection to it, which is kept."""

    def __init__(self, port: int, upstreams: dict[str, Recorder], state: State) -> None:
        self.port = port
        self.state = state
        self.upstreams = upstreams
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)

    def get(self, target: str, method: str = "GET", **headers: str) -> Answer:
        self._connection.request(method, target, headers={"Host": "localhost", **headers})
        answer = self._connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, names, answer.read())

    def close(self) -> None:
        self._connection.close()


def _configure(root: Path, settings: Settings) -> State:
    for folder in (*FOLDERS, "run"):
        (root / folder).mkdir()
    state = State(root, root, root)
    sockets = {service: [root / "run" / f"{service}-0.sock"] for service in SERVICES}
    nginx.render(nginx.placeholders(settings, state, sockets, "secret"), root / "nginx")
    _hurry(root / "nginx" / "snippets" / "limits.conf")
    return state


def _hurry(limits: Path) -> None:
    """One of the time limits, so that a test can wait for it."""
    text = limits.read_text()
    assert "client_body_timeout 30s;" in text
    limits.write_text(text.replace("client_body_timeout 30s;", "client_body_timeout 500ms;"))


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    with running_edge() as front:
        yield front


@contextmanager
def running_edge(**settings: Any) -> Iterator[Edge]:
    with ExitStack() as stack:
        root = stack.enter_context(short_folder())
        port = free_port()
        state = _configure(root, Settings(port=port, **settings))
        upstreams = {
            service: stack.enter_context(recording(root / "run" / f"{service}-0.sock"))
            for service in SERVICES
        }
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *nginx.command(state)], stderr=subprocess.PIPE, process_group=0
        )
        stack.enter_context(process)
        stack.callback(process.terminate)
        _wait_until_it_answers(process, port)
        front = Edge(port, upstreams, state)
        stack.callback(front.close)
        yield front


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        probe = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
        try:
            probe.request("GET", "/")
            probe.getresponse().read()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        finally:
            probe.close()
