"""Further nginx nodes beside a running stack: the same services behind another port, cache and tombstones."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM, Signals
from typing import Final

from deploy.local import nginx, readiness
from deploy.local.settings import Settings
from deploy.local.state import FOLDERS, State, load_secrets
from tests.stack import Stack, free_port, wait_for

STOP_SECONDS: Final = 30


class Node:
    """One nginx as the stack's supervisor would start it. `edge` is its name in EDGES."""

    def __init__(self, folder: Path) -> None:
        self._state = State(folder, folder, folder)
        for name in (*FOLDERS, "run"):
            (folder / name).mkdir(mode=0o700)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.base_url = f"http://localhost:{self.port}"
        self.edge = f"unix:{folder}/run/control.sock"
        self.cache = folder / "cache"
        self.tombstones = folder / "tombstones"

    def join(self, stack: Stack) -> None:
        """Render the configuration: the services are those of `stack`."""
        services = ("auth", "ingest", "transform")
        sockets = {
            service: [stack.state.run / f"{name}.sock" for name in stack.names(service)] for service in services
        }
        secret = load_secrets(stack.state)["CONTROL_SECRET"]
        values = nginx.placeholders(
            Settings(port=self.port, worker_processes="1"), self._state, sockets, secret
        )
        nginx.render(values, self._state.root / "nginx")

    def start(self, *, wait: bool = True) -> None:
        """`wait`: until it answers."""
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *nginx.command(self._state)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        if wait:
            wait_for(lambda: readiness.answers(self.port))

    def stop(self, number: Signals = SIGTERM) -> None:
        """SIGKILL kills its workers too, as the loss of the machine would."""
        if self._process is None:
            return
        self.signal(SIGCONT)
        if number is SIGKILL:
            self.signal(SIGKILL)
        else:
            self._process.send_signal(number)
        self._process.wait(STOP_SECONDS)
        self._process = None

    def signal(self, number: Signals) -> None:
        """To the whole group of processes."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    @contextmanager
    def down(self, number: Signals = SIGTERM) -> Iterator[None]:
        """Refuses connections for as long as the block runs."""
        self.stop(number)
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def hung(self) -> Iterator[None]:
        """Accepts connections and answers nothing for as long as the block runs."""
        self.signal(SIGSTOP)
        try:
            yield
        finally:
            self.signal(SIGCONT)


@contextmanager
def new_node() -> Iterator[Node]:
    """A node that has joined no stack yet, in a folder whose path is short enough for its sockets."""
    folder = Path(tempfile.mkdtemp(prefix="up-", dir="/tmp"))
    node = Node(folder)
    try:
        yield node
    finally:
        node.stop()
        shutil.rmtree(folder, ignore_errors=True)
