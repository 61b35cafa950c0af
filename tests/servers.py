"""Redis and PostgreSQL as plain processes on Unix sockets in a short private folder."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

START_SECONDS: Final = 30

# Dies with us, however we die.
_TIED: Final = ["setpriv", "--pdeathsig", "KILL"]


class Server:
    """A process that can be killed, stopped, continued and started again with what it had stored."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._command = list(command)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self._command[0]} did not start:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.02)

    def answers(self) -> bool:
        raise NotImplementedError

    def send(self, number: signal.Signals) -> None:
        if self._process is None:
            raise RuntimeError("not running")
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(number)
        self._process.wait(START_SECONDS)
        self._process = None

    @contextlib.contextmanager
    def gone(self) -> Iterator[None]:
        """Killed for as long as the block runs."""
        self.stop(signal.SIGKILL)
        try:
            yield
        finally:
            self.start()

    @contextlib.contextmanager
    def hung(self) -> Iterator[None]:
        """Accepts connections and answers nothing for as long as the block runs."""
        self.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self.send(signal.SIGCONT)


class RedisServer(Server):
    def __init__(self, folder: Path) -> None:
        self._socket = folder / "redis.sock"
        self.url = f"unix://{self._socket}"
        options = ["--port", "0", "--unixsocket", str(self._socket), "--dir", str(folder)]
        options += ["--save", "", "--appendonly", "no"]
        super().__init__([*_TIED, "redis-server", *options], folder / "redis.log")

    def answers(self) -> bool:
        return self.cli("PING") == "PONG"

    def cli(self, *words: str) -> str:
        """What redis-cli prints."""
        command = ["redis-cli", "-s", str(self._socket), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


class PostgresServer(Server):
    """A cluster of its own without durability; under root, which it refuses, it runs as the user postgres."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._as_user: list[str] = []
        user = "postgres"
        if os.geteuid() == 0:
            shutil.chown(folder, user, user)
            self._as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        else:
            user = pwd.getpwuid(os.geteuid()).pw_name
        self._user = user
        options = ["-D", str(self._data), "-k", str(folder), "-c", "listen_addresses=", "-F"]
        options += ["-c", "max_connections=100", "-c", "shared_buffers=16MB"]
        command = [*self._as_user, "--pdeathsig", "QUIT"] if self._as_user else [*_TIED[:2], "QUIT"]
        super().__init__([*command, _program("postgres"), *options], folder / "postgres.log")

    def initialise(self) -> None:
        command = [*self._as_user, _program("initdb"), "-D", str(self._data), "-N", "-A", "trust"]
        command += ["-E", "UTF8", "--locale=C", "-U", self._user]
        subprocess.run(command, check=True, capture_output=True, cwd=self._folder)

    def answers(self) -> bool:
        command = [_program("pg_isready"), "-q", "-h", str(self._folder)]
        return subprocess.run(command, check=False).returncode == 0

    def url(self, database: str) -> str:
        return f"postgresql:///{database}?host={self._folder}&user={self._user}"

    def psql(self, database: str, statement: str) -> str:
        """What psql prints, unaligned and without a header."""
        command = [_program("psql"), "-h", str(self._folder), "-U", self._user, "-d", database]
        command += ["-XAtqc", statement]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def create_database(self) -> str:
        """A new, empty database; answers its name."""
        name = f"test_{time.monotonic_ns()}"
        self.psql("postgres", f"CREATE DATABASE {name}")
        return name

    def pids(self) -> list[int]:
        """The server's processes, its backends included."""
        first = int((self._data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        return [first, *map(int, children)]

    @contextlib.contextmanager
    def hung(self) -> Iterator[None]:
        pids = self.pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def gone(self) -> Iterator[None]:
        self.stop(signal.SIGQUIT)
        try:
            yield
        finally:
            self.start()


def _program(name: str) -> str:
    """Debian keeps PostgreSQL's programs out of the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else name


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """A private folder whose path leaves room for a Unix socket's 107 characters."""
    folder = Path(tempfile.mkdtemp(prefix="up-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running_redis() -> Iterator[RedisServer]:
    with short_folder() as folder:
        server = RedisServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    with short_folder() as folder:
        server = PostgresServer(folder)
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGINT)
