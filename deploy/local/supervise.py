"""The supervisor that starts the programs, restarts what dies, and stops them in order."""

import os
import resource
import shlex
import signal
import socket
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterator, Sequence
from configparser import RawConfigParser
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from supervisor.xmlrpc import SupervisorTransport

from deploy.local import binaries
from deploy.local.errors import StartError
from deploy.local.programs import DRAIN_SECONDS, STAGES, Program
from deploy.local.state import State

START_SECONDS: Final = 20
STOP_SECONDS: Final = DRAIN_SECONDS + 5
MAX_OPEN_FILES: Final = 8192


class Supervisor:
    """The running supervisord of one stack, asked over its socket."""

    def __init__(self, state: State) -> None:
        self.state = state

    def names(self) -> list[str]:
        return [process["name"] for process in self._processes()]

    def pid(self, name: str) -> int | None:
        """The pid of a program's process; nginx's is that of nginx.sh."""
        return next(process["pid"] for process in self._processes() if process["name"] == name) or None

    def start(self, name: str) -> None:
        """Returns before the program is ready."""
        name = self._full(name)
        with self._rpc() as rpc:
            rpc.startProcess(name, False)

    def stop(self, name: str) -> None:
        """Returns when it has ended, which a service does after what it has accepted."""
        name = self._full(name)
        with self._rpc() as rpc:
            rpc.stopProcess(name, True)

    def _full(self, name: str) -> str:
        return next(f"{process['group']}:{name}" for process in self._processes() if process["name"] == name)

    def _processes(self) -> list[dict[str, Any]]:
        with self._rpc() as rpc:
            found: list[dict[str, Any]] = rpc.getAllProcessInfo()
        return found

    @contextmanager
    def _rpc(self) -> Iterator[Any]:
        transport = SupervisorTransport(None, None, f"unix://{self.state.supervisor_socket}")
        try:
            yield xmlrpc.client.ServerProxy("http://localhost", transport=transport).supervisor
        finally:
            transport.close()


@contextmanager
def supervise(state: State, programs: Sequence[Program]) -> Iterator[subprocess.Popen[bytes]]:
    """A supervisord that knows `programs` and has started none; leaving stops all of them, in order."""
    config = state.run / "supervisord.conf"
    config.touch(mode=0o600)
    with config.open("w") as file:
        configuration(state, programs).write(file)
    with state.log("supervisord").open("ab") as log:
        process = subprocess.Popen(
            [*_tied(state, "TERM"), sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,  # Ctrl-C reaches us alone; we stop the rest in order
        )
    try:
        _wait_for_socket(state, process)
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        process.wait()


def configuration(state: State, programs: Sequence[Program]) -> RawConfigParser:
    """supervisord's file; `%` is doubled, since supervisord expands `%(name)s`."""
    parser = RawConfigParser(interpolation=None)
    home = state.home
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    parser["supervisord"] = {
        "nodaemon": "true",
        "silent": "true",
        "logfile": str(home / "log" / "supervisord.log"),
        "logfile_maxbytes": "1MB",
        "logfile_backups": "1",
        "pidfile": str(state.run / "supervisord.pid"),
        "minfds": str(MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)),
        **({"user": "root"} if os.geteuid() == 0 else {}),
    }
    parser["unix_http_server"] = {"file": str(state.supervisor_socket), "chmod": "0700"}
    parser["rpcinterface:supervisor"] = {
        "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
    }
    for priority, stage in enumerate(STAGES, 1):
        names = [program.name for program in programs if program.stage == stage]
        if names:
            parser[f"group:{stage}"] = {"programs": ",".join(names), "priority": str(priority)}
    for program in programs:
        parser[f"program:{program.name}"] = _section(state, program)
    return parser


def _section(state: State, program: Program) -> dict[str, str]:
    command = [*_tied(state, program.stop_signal, program.user), *program.command]
    environment = ",".join(f'{name}="{value}"' for name, value in program.environment.items())
    return {
        "command": shlex.join(command).replace("%", "%%"),
        "directory": str(program.folder).replace("%", "%%"),
        "environment": environment.replace("%", "%%"),
        "autostart": "false",
        "autorestart": "true",
        # Running from the first moment: a program that ends is started again at once, and for ever.
        "startsecs": "0",
        "stopsignal": program.stop_signal,
        "stopwaitsecs": str(STOP_SECONDS),
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": str(state.home / "log" / f"{program.name}.log"),
        "stdout_logfile_maxbytes": "5MB",
        "stdout_logfile_backups": "1",
    }


def _tied(state: State, signal_name: str, user: Sequence[str] = ()) -> list[str]:
    """The prefix of a program that ends when its parent does, and that holds the lock of living programs.

    The signal is set after the change of user, which would clear it (prctl(2), PR_SET_PDEATHSIG).
    """
    lock = [binaries.program("flock"), "--shared", "--no-fork", str(state.home / "alive.lock")]
    return [*lock, *user, binaries.program("setpriv"), "--pdeathsig", signal_name]


def _wait_for_socket(state: State, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _accepts(state.supervisor_socket):
        if process.poll() is not None or time.monotonic() > deadline:
            log = state.log("supervisord")
            raise StartError(f"supervisord did not start: see {log}", tail(log))
        time.sleep(0.02)


def _accepts(path: Path) -> bool:
    """The socket has its name a moment before it listens."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def tail(log: Path, lines: int = 10) -> list[str]:
    """The last lines of a log that may not be there."""
    with suppress(OSError):
        return log.read_text(errors="replace").splitlines()[-lines:]
    return []
