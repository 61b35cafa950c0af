"""The spool: where the form and the renditions of an upload are files while it lasts."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path


@asynccontextmanager
async def open_spool(root: Path) -> AsyncGenerator[Path]:
    """This process's own folder in `root`, which it holds locked.

    What has no lock was left by a process that was killed: it is somebody's picture, and it goes.
    """
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    # One at a time, or a folder that is not locked yet would be taken for a dead one's.
    with _locked(root, fcntl.LOCK_EX):
        for folder in root.iterdir():
            with suppress(BlockingIOError, FileNotFoundError, NotADirectoryError), _locked(folder):
                shutil.rmtree(folder, ignore_errors=True)
        own = Path(tempfile.mkdtemp(dir=root))
        lock = _lock(own, fcntl.LOCK_EX)
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)
        os.close(lock)


@contextmanager
def _locked(folder: Path, operation: int = fcntl.LOCK_EX | fcntl.LOCK_NB) -> Iterator[None]:
    descriptor = _lock(folder, operation)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(folder: Path, operation: int) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, operation)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
