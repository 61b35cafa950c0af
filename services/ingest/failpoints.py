"""Places where a test can kill this process: where an upload could be cut off by a crash."""

import os
import signal
from pathlib import Path
from typing import Final

STEPS: Final = ("received", "inspected", "reserved", "rendered", "original stored", "stored", "finished")


class Failpoints:
    """A step is armed by a file of its name in `folder`, which the process that dies takes with it."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def reach(self, step: str) -> None:
        if self._folder is None:
            return
        try:
            (self._folder / step).unlink()
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)
