"""Follows files that grow, are moved aside, begin anew, or are cut short."""

import glob
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, Final

CHUNK_BYTES: Final = 1 << 20


class File:
    """One open log. It stays open when it is moved aside, so that its last lines are read too."""

    def __init__(self, path: str, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._rest = b""

    def chunk(self) -> list[bytes]:
        """The next whole lines; none where all has been read."""
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0)
            self._rest = b""
        *lines, self._rest = (self._rest + self._file.read(CHUNK_BYTES)).split(b"\n")
        return lines

    def moved(self) -> bool:
        """Whether its name is another file's by now, or nobody's."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return True
        return not os.path.samestat(found, os.fstat(self._file.fileno()))

    def unread_bytes(self) -> int:
        return max(0, os.fstat(self._file.fileno()).st_size - self._file.tell())

    def close(self) -> None:
        self._file.close()


class Follower:
    """The lines that are written to the files of `pattern` from now on.

    What is in a file at the start is passed over: a counter that begins anew must not count it twice.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._files: dict[str, File] = {}
        self._moved: list[File] = []
        self._open(at_end=True)

    @property
    def paths(self) -> list[str]:
        """The files that are there now."""
        return glob.glob(self._pattern)

    def unread_bytes(self) -> int:
        return sum(file.unread_bytes() for file in (*self._files.values(), *self._moved))

    def chunks(self) -> Iterator[list[bytes]]:
        """Whole lines, a piece of one file at a time, until all has been read."""
        # nginx goes on writing to the old file for a moment: it is read once more the next time.
        last_time, self._moved = self._moved, []
        for path, file in list(self._files.items()):
            if file.moved():
                self._moved.append(self._files.pop(path))
        self._open(at_end=False)
        for file in (*last_time, *self._moved, *self._files.values()):
            while lines := file.chunk():
                yield lines
        for file in last_time:
            file.close()

    def close(self) -> None:
        for file in (*self._files.values(), *self._moved):
            file.close()

    def _open(self, *, at_end: bool) -> None:
        for path in self.paths:
            if path not in self._files:
                with suppress(FileNotFoundError):
                    file = open(path, "rb")  # noqa: SIM115 closed when it has been moved aside
                    if at_end:
                        file.seek(0, os.SEEK_END)
                    self._files[path] = File(path, file)
