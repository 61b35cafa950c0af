"""As many requests as a server takes: wrk, with every path from a file."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from deploy.local.programs import CHECKOUT
from tests.bench.progress import say

SCRIPT: Final = Path(__file__).with_name("load.lua")
INSTALL: Final = CHECKOUT / "deploy" / "local" / "install.sh"
THREADS: Final = 2
TIMEOUT_SECONDS: Final = 30
SPARE_SECONDS: Final = 60


class Load(msgspec.Struct, frozen=True):
    """What wrk saw. Latencies in milliseconds; `bytes` with the headers; `exhausted`: it ran out of paths."""

    requests: int
    seconds: float
    bytes: int
    failed: int
    exhausted: int
    p50: float
    p99: float
    max: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def drive(
    ports: Sequence[int],
    paths: Sequence[str],
    seconds: int,
    *,
    connections: int = 32,
    loop: bool = False,
    delay_ms: int = 0,
    method: str = "GET",
    authorization: str = "",
) -> Load:
    """Ask for `paths`, each once unless `loop`, over `connections` that are shared out among `ports`.

    A connection waits `delay_ms` on average between its requests. Raises RuntimeError where an answer was
    not 2xx or 3xx, so that nobody is fast by failing.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".paths") as file:
        file.write("\n".join(paths) + "\n")
        file.flush()
        targets = ",".join(f"127.0.0.1:{port}" for port in ports)
        options = [
            f"-t{THREADS}",
            f"-c{connections}",
            f"-d{seconds}s",
            f"--timeout={TIMEOUT_SECONDS}s",
            "--latency",
        ]
        arguments = [file.name, str(THREADS), targets, method, "loop" if loop else "once", str(delay_ms)]
        done = subprocess.run(
            [
                *(program(), *options, "-s", str(SCRIPT), f"http://127.0.0.1:{ports[0]}"),
                *("--", *arguments, authorization),
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds + TIMEOUT_SECONDS + SPARE_SECONDS,
        )
    load = msgspec.json.decode(done.stdout.splitlines()[-1], type=Load)
    if load.failed:
        raise RuntimeError(f"{load.failed} of {load.requests} requests failed, such as {paths[0]}")
    if load.exhausted:
        raise RuntimeError(f"{len(paths)} paths were too few for {seconds} s")
    return load


def program() -> str:
    """wrk's path; installed from the distribution where that can be done."""
    if not shutil.which("wrk") and shutil.which("apt-get") and os.geteuid() == 0:
        say("installing wrk")
        subprocess.run(["bash", str(INSTALL), "wrk"], check=True, stdout=subprocess.DEVNULL)
    found = shutil.which("wrk")
    if not found:
        raise SystemExit("wrk is missing: install it with the package manager (Debian: wrk)")
    return found
