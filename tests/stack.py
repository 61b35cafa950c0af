"""The whole stack as `make run` starts it, for tests that need all of it."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from signal import Signals
from typing import Final

from deploy.local import readiness
from deploy.local.admin import admin
from deploy.local.programs import CHECKOUT
from deploy.local.state import forget_sockets, locate
from deploy.local.supervise import Supervisor

START_SECONDS: Final = 120
STOP_SECONDS: Final = 90
RUN: Final = ("setpriv", "--pdeathsig", "TERM", sys.executable, "-m", "deploy.local.run")


class Stack:
    """A stack that is ready, on a port of its own. `environment` goes over what pytest was given.

    A program is named by its process ("ingest-0", "nginx") or by its service ("ingest": all of them).
    """

    def __init__(
        self,
        state_dir: Path,
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = RUN,
        checkout: Path = CHECKOUT,
    ) -> None:
        self.state_dir = state_dir
        self.port = free_port()
        self.base_url = f"http://localhost:{self.port}"
        own = {"STATE_DIR": str(state_dir), "PORT": str(self.port)}
        self.environment = {**os.environ, **own, **(environment or {})}
        self.state = locate(str(state_dir))
        self.supervisor = Supervisor(self.state)
        self._output = tempfile.NamedTemporaryFile("w+b")  # noqa: SIM115 closed by stop
        self.process = subprocess.Popen(
            command,
            cwd=checkout,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            process_group=0,
        )
        try:
            self._wait_for_start()
        except BaseException:
            self.stop()
            raise

    @property
    def api_key(self) -> str:
        """The key of the first account, on the plan business."""
        return (self.state_dir / "api-key").read_text().strip()

    @property
    def output(self) -> str:
        """What the command has printed so far."""
        return Path(self._output.name).read_text()

    def create_account(self, plan: str, name: str = "test") -> str:
        """The key of a new account."""
        return self.admin("create-account", "--name", name, "--plan", plan)

    def admin(self, *arguments: str) -> str:
        """What auth's admin command prints."""
        done = admin(self.state, arguments, self.environment)
        if done.returncode:
            raise RuntimeError(f"{arguments[0]} failed: {done.stderr}")
        return done.stdout.strip()

    def names(self, program: str) -> list[str]:
        """The processes of `program`."""
        names = [name for name in self.supervisor.names() if program in (name, name.rpartition("-")[0])]
        if not names:
            raise KeyError(program)
        return names

    def pids(self, program: str) -> list[int]:
        """The main process of each; nginx's is its master. One that is not running is left out."""
        if program == "nginx":
            return [int((self.state.run / "nginx.pid").read_text())]
        return [pid for name in self.names(program) if (pid := self.supervisor.pid(name))]

    def signal(self, program: str, number: Signals) -> None:
        for pid in self.pids(program):
            os.kill(pid, number)

    def restart(self, program: str) -> None:
        """Stops and starts its processes one after the other, each when the one before is ready."""
        for name in self.names(program):
            self.supervisor.stop(name)
            self.supervisor.start(name)
            self.wait_until_ready(name)

    def wait_until_ready(self, name: str) -> None:
        """Until nginx or this process of a service answers; the others, until they have a pid."""
        path = self.state.run / f"{name}.sock"
        service = name.rpartition("-")[0]
        if name == "nginx":  # it empties its cache before it listens
            wait_for(lambda: readiness.answers(self.port))
        else:
            wait_for(lambda: readiness.is_ready(path) if service else self.supervisor.pid(name) is not None)

    def log(self, program: str) -> str:
        """What its processes have logged."""
        return "".join(self.state.log(name).read_text() for name in self.names(program))

    def stop(self) -> int:
        """Stops all of it, in order; gives the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        status = self.process.wait(STOP_SECONDS)
        self._output.close()
        return status

    def _wait_for_start(self) -> None:
        wait_for(lambda: self._announced or self.process.poll() is not None, START_SECONDS)
        if not self._announced:
            raise RuntimeError(f"the stack did not start:\n{self.output}")

    @property
    def _announced(self) -> bool:
        return any(line.startswith("ready") for line in self.output.splitlines())


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Until `condition` holds; TimeoutError where it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def discard(state_dir: Path) -> None:
    """Deletes a STATE_DIR, with its database and its sockets where those are kept elsewhere."""
    forget_sockets(locate(str(state_dir)))
    database = state_dir / "postgres"
    if database.is_symlink():
        shutil.rmtree(database.resolve(), ignore_errors=True)
    shutil.rmtree(state_dir, ignore_errors=True)
