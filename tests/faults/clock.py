"""A clock that tests can move, for every process of a stack: faketime, where it is installed."""

import shlex
import sys
from pathlib import Path
from typing import Final

from tests.stack import RUN

LIBRARIES: Final = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib/faketime/libfaketimeMT.so.1")
SEEN_AFTER_SECONDS: Final = 1.5  # a process looks at the file once a second


def leftovers() -> set[Path]:
    """Shared memory that faketime leaves where a process is killed."""
    return {path for name in ("faketime_shm_*", "sem.faketime_sem_*") for path in Path("/dev/shm").glob(name)}


def library() -> Path | None:
    """faketime's, where it is installed."""
    found = [path for pattern in LIBRARIES for path in Path("/").glob(pattern.removeprefix("/"))]
    return found[0] if found else None


class Clock:
    """Of the services; PostgreSQL, Redis and nginx keep the true one, as if they were on other machines."""

    def __init__(self, library: Path, folder: Path) -> None:
        self._file = folder / "clock"
        self._python = folder / "python"
        self.set("+0")
        environment = {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": self._file,
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        words = shlex.join(f"{name}={value}" for name, value in environment.items())
        # The supervisor's children would have its clock too, and Redis does not start under faketime.
        self._python.write_text(
            f'#!/bin/sh\ncase "$*" in "-m uvicorn "*) set -- env {words} {sys.executable} "$@" ;;'
            f' *) set -- {sys.executable} "$@" ;; esac\nexec "$@"\n'
        )
        self._python.chmod(0o700)

    def set(self, offset: str) -> None:
        """To the true time and `offset`, in faketime's words: "+1h", "-90", "+2d"."""
        self._file.write_text(offset)

    @property
    def command(self) -> list[str]:
        """`make run` whose Python programs have this clock."""
        run = f"runpy.run_module({RUN[-1]!r}, None, '__main__')"
        program = f"import runpy, sys; sys.executable = {str(self._python)!r}; {run}"
        return [*RUN[:-2], "-c", program]
