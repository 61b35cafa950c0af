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


def with_children(pids: Iterable[int]) -> list[psutil.Process]:
    """These processes and all below them."""
    tops = [psutil.Process(pid) for pid in pids]
    return [process for top in tops for process in (top, *top.children(recursive=True))]


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """What they have used of the processors since they began, in user and in kernel mode."""
    times = [process.cpu_times() for process in processes]
    return float(sum(each.user + each.system for each in times))
