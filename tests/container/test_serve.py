"""A service in a container: how it is asked whether it lives, and how it goes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from deploy.local.programs import CHECKOUT
from tests.stack import free_port, wait_for

STOP_SECONDS = 30


class Container:
    """Transform as its image starts it, on a port of its own."""

    def __init__(self, objects: Path, notice_seconds: float) -> None:
        self.port = free_port()
        environment = {
            "SERVICE": "transform",
            "SERVICE_PORT": str(self.port),
            "DRAIN_NOTICE_SECONDS": str(notice_seconds),
            "OBJECTS_URL": objects.as_uri(),
        }
        command = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "deploy.container.serve"]
        self.process = subprocess.Popen(command, cwd=CHECKOUT, env=os.environ | environment)
        wait_for(lambda: self.is_healthy)

    @property
    def is_healthy(self) -> bool:
        check = [sys.executable, "-I", str(CHECKOUT / "deploy/container/health.py"), str(self.port)]
        return subprocess.run(check, check=False).returncode == 0

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(STOP_SECONDS)


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    running = Container(tmp_path, 2)
    yield running
    running.stop()


def test_it_gives_notice_and_serves_on_before_it_stops(container: Container) -> None:
    with httpx2.Client(base_url=f"http://127.0.0.1:{container.port}") as client:
        assert client.get("/livez").text == "ok"
        assert client.get("/readyz").status_code == 200
        container.process.send_signal(signal.SIGTERM)
        wait_for(lambda: client.get("/livez").text == "draining")
        assert client.get("/readyz").status_code == 503
        assert container.is_healthy
        with httpx2.Client(base_url=client.base_url) as newcomer:
            assert newcomer.get("/img_0000000000000000").status_code == 404
    container.process.wait(STOP_SECONDS)
    assert not container.is_healthy


def test_a_second_signal_stops_it_at_once(tmp_path: Path) -> None:
    container = Container(tmp_path, 60)
    container.process.send_signal(signal.SIGTERM)
    # Of two signals that wait to be heard, the kernel keeps one.
    with httpx2.Client(base_url=f"http://127.0.0.1:{container.port}") as client:
        wait_for(lambda: client.get("/livez").text == "draining")
    container.process.send_signal(signal.SIGTERM)
    container.process.wait(STOP_SECONDS)
