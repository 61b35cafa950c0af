"""Objects as files of one folder: for one machine, or for a shared file system."""

import asyncio
import contextlib
import logging
import os
import secrets
import struct
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import msgspec

from libs.objects.contract import MAX_META_BYTES, Stored, bounded, check_meta, check_name

FAILURES: Final = (OSError,)
THREADS: Final = 8
# A read of 100 KB out of the page cache takes 54 us on the event loop and 286 us in a thread, one of 1 MB
# 144 and 406 (two cores, Python 3.11); above this the loop would rather have its time back.
READ_HERE_BYTES: Final = 1024 * 1024
STALE_SECONDS: Final = 3600

# A file is the object's bytes, its metadata as JSON, and a footer: the length of both, and a mark. All
# three formats of pictures ignore what follows them, so that any viewer opens the file.
MAGIC: Final = b"UPHOTOS1"
FOOTER: Final = struct.Struct("<QI8s")
TAIL_BYTES: Final = 5 * MAX_META_BYTES + FOOTER.size  # `"a":"\\\"",`: JSON makes at most 9 bytes of 2

R = TypeVar("R")
log = logging.getLogger(__name__)


class TornError(OSError):
    """A file that is not whole, or not ours."""


class FolderObjects:
    """`root/kind/ef/id` or `root/kind/ef/id/name`, where `ef` ends the id: a million ids stay quick."""

    def __init__(self, root: Path, threads: ThreadPoolExecutor, timeout_seconds: float) -> None:
        self._root = root
        self._incoming = root / "incoming"
        self._threads = threads
        self._timeout_seconds = timeout_seconds

    async def put(self, name: str, data: bytes | Path, meta: Mapping[str, str]) -> None:
        path, encoded = self._path(name), msgspec.json.encode(check_meta(meta))
        async with bounded("put", self._timeout_seconds, FAILURES):
            await self._in_thread(lambda: self._write(path, data, encoded))

    async def get(self, name: str) -> Stored | None:
        path = self._path(name)
        async with bounded("get", self._timeout_seconds, FAILURES):
            try:
                if path.stat().st_size <= READ_HERE_BYTES:
                    return _read(path)
                return await self._in_thread(lambda: _read(path))
            except FileNotFoundError:
                self._check_mounted()
                return None

    async def head(self, name: str) -> dict[str, str] | None:
        path = self._path(name)
        async with bounded("head", self._timeout_seconds, FAILURES):
            try:
                return _read_meta(path)
            except FileNotFoundError:
                self._check_mounted()
                return None

    async def delete(self, names: Sequence[str]) -> int:
        paths = [self._path(name) for name in names]
        async with bounded("delete", self._timeout_seconds, FAILURES):
            return await self._in_thread(lambda: self._remove(paths))

    async def ready(self) -> None:
        async with bounded("ready", self._timeout_seconds, FAILURES):
            await self._in_thread(self._check_mounted)

    def prepare(self) -> None:
        """Make the folder, and remove what writers that were killed have left."""
        self._incoming.mkdir(parents=True, exist_ok=True)
        for file in self._incoming.iterdir():
            # Another process may be at the same work, and others are writing.
            with contextlib.suppress(FileNotFoundError):
                if file.stat().st_mtime < time.time() - STALE_SECONDS:
                    file.unlink()

    def _path(self, name: str) -> Path:
        kind, owner, *rest = check_name(name).split("/")
        return self._root.joinpath(kind, owner[-2:], owner, *rest)

    async def _in_thread(self, work: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _check_mounted(self) -> None:
        """An empty mount point has no object either, and must not pass for a store that has none."""
        self._incoming.stat()

    def _write(self, path: Path, data: bytes | Path, meta: bytes) -> None:
        temporary = self._incoming / secrets.token_hex(16)
        try:
            with temporary.open("xb") as file:
                length = _fill(file, data)
                file.write(meta + FOOTER.pack(length, len(meta), MAGIC))
                file.flush()
                os.fsync(file.fileno())
            self._make_folder(path.parent)
            temporary.replace(path)
            _sync_folder(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _make_folder(self, folder: Path) -> None:
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            _sync_folder(folder.parent)

    def _remove(self, paths: Sequence[Path]) -> int:
        self._check_mounted()
        removed = 0
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
                removed += 1
        for folder in {path.parent for path in paths}:
            self._tidy(folder)
        return removed

    def _tidy(self, folder: Path) -> None:
        """Make the deletes last, and take away the folder of an id that has no object any more."""
        is_of_one_id = len(folder.relative_to(self._root).parts) == 3
        if is_of_one_id:
            with contextlib.suppress(OSError):  # it holds another object, or never was
                folder.rmdir()
                folder = folder.parent
        with contextlib.suppress(FileNotFoundError):
            _sync_folder(folder)


@contextlib.asynccontextmanager
async def open_folder(root: Path, timeout_seconds: float) -> AsyncGenerator[FolderObjects]:
    """The store in `root`, which is made where it is missing."""
    # Threads of its own: a hung disk must not take those that others wait for.
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="objects")
    objects = FolderObjects(root, threads, timeout_seconds)
    try:
        objects.prepare()
    except OSError as error:  # e.g. mounted read-only, which is enough for transform
        log.warning("cannot write to the object store", extra={"reason": repr(error)})
    try:
        yield objects
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _fill(target: BinaryIO, data: bytes | Path) -> int:
    if isinstance(data, bytes):
        return target.write(data)
    length = 0
    with data.open("rb") as source:
        # In the kernel: a body of 10 MB never passes through this process.
        while sent := os.sendfile(target.fileno(), source.fileno(), None, 1 << 30):
            length += sent
    return length


def _read(path: Path) -> Stored:
    with path.open("rb", buffering=0) as file:
        length, meta = _tail(file.fileno())
        data = os.pread(file.fileno(), length, 0)
    if len(data) != length:
        raise TornError(f"{path}: {len(data)} of {length} bytes")
    return Stored(data, meta)


def _read_meta(path: Path) -> dict[str, str]:
    with path.open("rb", buffering=0) as file:
        return _tail(file.fileno())[1]


def _tail(descriptor: int) -> tuple[int, dict[str, str]]:
    """The length of the object's bytes, and its metadata."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, TAIL_BYTES, max(0, size - TAIL_BYTES))
    try:
        length, meta_length, magic = FOOTER.unpack(tail[-FOOTER.size :])
        if magic != MAGIC or length + meta_length + FOOTER.size != size:
            raise TornError("no footer, or not its lengths")
        meta = tail[-FOOTER.size - meta_length : -FOOTER.size]
        return length, msgspec.json.decode(meta, type=dict[str, str])
    except (struct.error, msgspec.MsgspecError) as error:
        raise TornError("no footer, or no metadata") from error


def _sync_folder(folder: Path) -> None:
    """Make renames and deletes in `folder` outlast a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
