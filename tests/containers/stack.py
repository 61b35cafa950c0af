"""The stack of deploy/compose.yml on the container engine of this machine."""

import json
import os
import random
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from tests.containers.images import COMPOSE, build_images, provide_images, run
from tests.stack import wait_for

START_SECONDS: Final = 180
SERVICES: Final = ("auth", "ingest", "transform")
STORES: Final = ("redis", "postgres", "objects")


def two_free_ports() -> int:
    """The first of two next to each other, none of those that Linux gives to clients."""
    for port in random.sample(range(20_000, 32_000, 2), 1000):
        with socket.socket() as first, socket.socket() as second, suppress(OSError):
            first.bind(("127.0.0.1", port))
            second.bind(("127.0.0.1", port + 1))
            return port
    raise RuntimeError("no ports are free")


class ComposeStack:
    """A project of its own. `environment` is what would be in deploy/.env beside the secrets.

    Tests of plain processes ask for what is not here, and are skipped.
    """

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        scale: Mapping[str, int] | None = None,
    ) -> None:
        build_images()
        provide_images(*STORES)
        self.port = two_free_ports()
        self.base_url = f"http://localhost:{self.port}"
        self.project = f"up-test-{self.port}"
        self._file = folder / "env"
        run("sh", str(COMPOSE.parent / "secrets.sh"), str(self._file))
        own = {
            "PORTS": f"{self.port}-{self.port + 1}",
            "PUBLIC_API_URL": self.base_url,
            "PUBLIC_CDN_URL": self.base_url,
        }
        with self._file.open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in {**own, **(environment or {})}.items())
        self.counts: dict[str, int] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        pytest.skip(f"needs {name} of a stack of plain processes")

    @property
    def command(self) -> list[str]:
        """How to call compose on this project."""
        return ["docker", "compose", "--env-file", str(self._file), "-p", self.project, "-f", str(COMPOSE)]

    @property
    def environment(self) -> dict[str, str]:
        """What was written for compose, secrets included."""
        lines = self._file.read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def compose(self, *words: str, seconds: float = START_SECONDS) -> str:
        return run(*self.command, *words, seconds=seconds)

    def up(self, *services: str, **counts: int) -> None:
        """Until all of `services` (or everything) is healthy. Containers that run are left as they are."""
        self.counts |= counts
        wanted = {name: count for name, count in self.counts.items() if not services or name in services}
        scale = [word for name, count in wanted.items() for word in ("--scale", f"{name}={count}")]
        self.compose("up", "-d", "--wait", "--no-recreate", *scale, *services)

    def down(self) -> None:
        """Removes all of it, volumes and networks too."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "1")

    def script(self, name: str, *words: str) -> None:
        """Runs a script of deploy/ on this project, as an operator does."""
        environment = os.environ | {"COMPOSE": " ".join(self.command)}
        run("sh", str(COMPOSE.parent / name), *words, seconds=START_SECONDS, environment=environment)

    def roll(self, service: str) -> None:
        self.script("roll.sh", service)

    def known_backends(self, service: str) -> list[str]:
        """The addresses that every nginx node sends requests of `service` to."""
        found = [
            run("docker", "exec", node, "cat", f"/run/user-photos/backends/{service}").splitlines()
            for node in self.containers("nginx")
        ]
        return found[0] if all(each == found[0] for each in found) else []

    def origins(self) -> list[str]:
        """The base URL of each nginx node."""
        ports = [
            container["NetworkSettings"]["Ports"]["8080/tcp"][0]["HostPort"]
            for container in self.inspect(self.containers("nginx"))
        ]
        return [f"http://localhost:{port}" for port in ports]

    def wait_until_it_works(self, api: httpx2.Client) -> None:
        """Until nginx, auth, ingest and PostgreSQL, and nginx, transform and the store, answer together."""

        def works() -> bool:
            try:
                statuses = (
                    api.get("/v1/images?limit=1").status_code,
                    api.get("/img_0000000000000000").status_code,
                )
            except httpx2.HTTPError:
                return False
            return statuses == (200, 404)

        wait_for(works)

    def create_account(self, plan: str, name: str = "test") -> str:
        """The key of a new account."""
        words = ("create-account", "--name", name, "--plan", plan)
        return self.compose("exec", "-T", "auth", "python", "-m", "services.auth.admin", *words)

    def containers(self, service: str = "") -> list[str]:
        """The ids of those that run."""
        return self.compose("ps", "-q", *filter(None, [service])).split()

    def inspect(self, containers: Sequence[str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(run("docker", "inspect", *containers))
        return found

    def kill(self, container: str) -> None:
        """As the kernel would: `docker kill` also tells the engine not to start it again."""
        if os.geteuid() != 0:
            pytest.skip("only root may kill a container's process")
        os.kill(self.inspect([container])[0]["State"]["Pid"], signal.SIGKILL)

    def is_healthy(self, container: str) -> bool:
        state = self.inspect([container])[0]["State"]
        return bool(state["Running"] and state.get("Health", {}).get("Status") == "healthy")

    def exec(self, service: str, *command: str) -> str:
        """What a command prints in the first container of `service`."""
        return self.compose("exec", "-T", service, *command)

    @contextmanager
    def stopped(self, service: str) -> Iterator[None]:
        """For as long as the block runs."""
        self.compose("stop", service)
        try:
            yield
        finally:
            self.compose("start", service)
            wait_for(lambda: self.is_healthy(self.containers(service)[0]))
