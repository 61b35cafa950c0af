"""Keeps nginx's own logs bounded, as the supervisor does those of the other programs."""

import os
import signal
from contextlib import suppress
from typing import Final

from deploy.local.state import State

MAX_BYTES: Final = 20 * 1024 * 1024
NAMES: Final = ("nginx-access", "nginx-error")


def rotate(state: State, max_bytes: int = MAX_BYTES) -> None:
    """Moves logs above `max_bytes` aside, over the ones before them, and lets nginx open new ones."""
    logs = [log for log in map(state.log, NAMES) if log.exists() and log.stat().st_size > max_bytes]
    for log in logs:
        log.replace(log.with_name(f"{log.name}.1"))
    if logs:
        with suppress(OSError, ValueError):  # nginx is being restarted, and will open new ones anyway
            os.kill(int((state.run / "nginx.pid").read_text()), signal.SIGUSR1)
