"""Memory stays small: bodies live in the spool, and transform has an allocator that gives back."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from ctypes.util import find_library
from pathlib import Path

import psutil
import pytest
import pyvips

from libs.pictures import MAX_UPLOAD_BYTES
from tests import pictures
from tests.conftest import MakeStack
from tests.e2e import calls
from tests.stack import Stack

MEGABYTE = 1_000_000
RISE = 20 * MEGABYTE
AT_ONCE = 4
SAMPLE_SECONDS = 0.005


class Watch(threading.Thread):
    """The highest resident memory of a process, sampled while it runs. Its children do not count."""

    def __init__(self, pid: int) -> None:
        super().__init__()
        self._process = psutil.Process(pid)
        self._done = threading.Event()
        self.before = self.highest = self._sample()
        self.samples = 0

    def _sample(self) -> int:
        resident: int = self._process.memory_info().rss
        return resident

    def run(self) -> None:
        while not self._done.is_set():
            self.highest = max(self.highest, self._sample())
            self.samples += 1
            time.sleep(SAMPLE_SECONDS)

    def stop(self) -> int:
        """How far it rose, in bytes."""
        self._done.set()
        self.join()
        return self.highest - self.before


def noise(size: int) -> bytes:
    """A PNG of which almost every byte is picture: nothing of it can be left out."""
    image = pyvips.Image.gaussnoise(1800, 1800, sigma=60, mean=128).cast("uchar")
    image = image.bandjoin([image.rot180(), image.fliphor()]).copy(interpretation="srgb")
    plain = bytes(image.pngsave_buffer(compression=1, filter="none"))
    return pictures.with_chunks(plain, [pictures.chunk(b"prVt", bytes(size - len(plain) - 12))])


def test_four_of_the_largest_uploads_at_a_time_raise_memory_by_less_than_twenty_megabytes(
    make_stack: MakeStack,
) -> None:
    """All four are in one process."""
    stack = make_stack({"INGEST_PROCESSES": "1"})
    key = stack.create_account("unlimited")
    picture = noise(MAX_UPLOAD_BYTES)
    with ExitStack() as open_clients:
        clients = [open_clients.enter_context(calls.client(stack, key)) for _ in range(AT_ONCE)]
        calls.upload(clients[0], pictures.jpeg())  # whatever is loaded once is loaded now
        (pid,) = stack.pids("ingest")
        watch = Watch(pid)
        watch.start()
        try:
            with ThreadPoolExecutor(AT_ONCE) as threads:
                answers = list(threads.map(lambda client: calls.upload(client, picture), clients * 3))
        finally:
            risen = watch.stop()
    assert {answer["file_size"] for answer in answers} == {MAX_UPLOAD_BYTES}
    assert watch.samples > 50
    print(f"\ningest rose by {risen / MEGABYTE:.1f} MB ({watch.samples} samples)")  # noqa: T201 shown by pytest -s
    assert risen < RISE


def test_transform_has_the_allocator_that_keeps_it_small(stack: Stack) -> None:
    """decisions/0014; where the machine lacks it, the other settings of `allocator` hold."""
    if not find_library("jemalloc"):
        pytest.skip("libjemalloc is not installed")
    for pid in stack.pids("transform"):
        assert "libjemalloc" in Path(f"/proc/{pid}/maps").read_text()
