"""Child processes that end with us, and what their processors cost."""

import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import psutil

TIED: Final = ("setpriv", "--pdeathsig", "TERM")
START_SECONDS: Final = 30
STOP_SECONDS: Final = 20


@contextmanager
def running(
    command: Sequence[str], log: Path, environment: Mapping[str, str], cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The process of `command`, for as long as the block runs."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*TIED, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=cwd,
        )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        process.kill()
        process.wait()


def wait_for_port(port: int) -> None:
    """Until something listens on this port of the loopback; TimeoutError where nothing comes."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing listens on port {port}") from None
            time.sleep(0.1)
        else:
            return


class Meter:
    """What these processes and all below them use of the processors from now on."""

    def __init__(self, pids: Iterable[int]) -> None:
        tops = [psutil.Process(pid) for pid in pids]
        processes = [process for top in tops for process in (top, *top.children(recursive=True))]
        self._began = {process: _cpu_seconds(process) for process in processes}

    def seconds(self) -> float:
        """In user and in kernel mode. What has ended meanwhile counts for nothing: nginx's cache loader."""
        return sum(max(0.0, _cpu_seconds(process) - began) for process, began in self._began.items())


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
