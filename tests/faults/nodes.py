"""Further nginx nodes beside a running stack: the same services behind another port, cache and tombstones."""

import os
import random
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGQUIT, SIGSTOP, SIGTERM, Signals
from typing import Final

from deploy.local import nginx, readiness
from deploy.local.settings import Settings
from deploy.local.state import FOLDERS, State, load_secrets
from tests.faults.broken import Breakable
from tests.stack import Stack, discard, wait_for

STOP_SECONDS: Final = 30
SERVICES: Final = ("auth", "ingest", "transform")


class Node:
    """One nginx as the stack's supervisor would start it. `edge` is its name in EDGES."""

    def __init__(self, folder: Path) -> None:
        self._state = State(folder, folder, folder)
        for name in (*FOLDERS, "run"):
            (folder / name).mkdir(mode=0o700)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = port_to_keep()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.edge = f"unix:{folder}/run/control.sock"
        self.cache = folder / "cache"
        self.tombstones = folder / "tombstones"

    def join(self, stack: Stack) -> None:
        """The services behind it are those of `stack`."""
        run = stack.state.run
        sockets = {service: [run / f"{name}.sock" for name in stack.names(service)] for service in SERVICES}
        self.render(sockets, load_secrets(stack.state)["CONTROL_SECRET"])

    def render(self, sockets: Mapping[str, list[Path]], secret: str) -> None:
        """Write its configuration."""
        settings = Settings(port=self.port, worker_processes="1")
        values = nginx.placeholders(settings, self._state, sockets, secret)
        nginx.render(values, self._state.root / "nginx")

    def start(self, *, wait: bool = True) -> None:
        """`wait`: until it answers. It ends with the thread that calls this."""
        with self._state.log("nginx").open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *nginx.command(self._state)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        if wait:
            self.wait()

    def wait(self) -> None:
        """Until it answers."""
        wait_for(lambda: self.answers() or self.ended)
        if self.ended:
            raise RuntimeError(f"nginx did not start:\n{self._state.log('nginx').read_text()[-2000:]}")

    @property
    def ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def answers(self) -> bool:
        """Whether it serves, whatever is behind it."""
        return readiness.is_alive(self._state.run / "control.sock")

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

    def drain(self) -> None:
        """Let it end as soon as the connections that it has do."""
        if self._process is not None:
            self._process.send_signal(SIGQUIT)

    def signal(self, number: Signals) -> None:
        """To the whole group of processes."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def wipe(self) -> None:
        """Make it as new: what a machine that takes its place would have."""
        for folder in (self.cache, self.tombstones):
            shutil.rmtree(folder)
            folder.mkdir(mode=0o700)

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


def port_to_keep() -> int:
    """A port that stays free while the node is down: a client that asks it then may be given any other port.

    Of those that Linux gives to clients, it would even give one the very port that it asks, on both ends.
    """
    for port in random.sample(range(20_000, 32_000), 1000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port is free")


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


class Pair:
    """A running stack whose ingest tells two nodes of deletes: its own, and one that tests may break."""

    def __init__(self, stack: Breakable, other: Node) -> None:
        self.stack = stack
        self.other = other
        self.key = stack.create_account("unlimited")
        self.origin = f"http://127.0.0.1:{stack.port}"
        self.base_urls = (self.origin, other.base_url)

    def pending(self) -> int:
        """Deleted pictures that a node or the store has yet to forget."""
        return int(self.stack.sql("SELECT count(*) FROM deletions WHERE told_at IS NULL")[0][0])


@contextmanager
def running_pair(state_dir: Path) -> Iterator[Pair]:
    with new_node() as other:
        stack = Breakable(state_dir, {"JANITOR_SECONDS": "0.5", "EDGES": other.edge})
        try:
            other.join(stack)
            other.start()
            yield Pair(stack, other)
        finally:
            stack.stop()
            discard(state_dir)
