"""Cold variants from a store in five milliseconds, over a transform and an nginx of their own."""

import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from libs.pictures import likely_rung
from tests.bench.copies import Copies
from tests.bench.edge import Edge, running_edge, running_service
from tests.bench.figures import Figures
from tests.bench.pace import pace
from tests.bench.processes import running, wait_for_port
from tests.bench.progress import say
from tests.bench.setting import Setting
from tests.bench.store import BUCKET
from tests.stack import free_port

ROW: Final = "cold 150x150 JPEG of 6 MP from S3"
AGAIN: Final = "a second size of the same pictures"
RATE: Final = 20  # a second: alone, as what counts here is the time of one
RUNG: Final = likely_rung(150)


class Buckets:
    """`edge` renders what the store at `port` has."""

    def __init__(self, edge: Edge, port: int, seconds: int) -> None:
        self._edge = edge
        self._port = port
        self._seconds = seconds

    def measure(self, figures: Figures) -> None:
        say(ROW)
        ids = Copies.names(RATE * self._seconds)
        store = pace(self._port, [f"/{BUCKET}/renditions/{each}/{RUNG}" for each in ids], RATE, self._seconds)
        first = pace(self._edge.port, [f"/{each}?w=150&h=150" for each in ids], RATE, self._seconds)
        before = self._fetched()
        second = pace(self._edge.port, [f"/{each}?w=149&h=149" for each in ids], RATE, self._seconds)
        figures.add(ROW, "the store alone", "p50 ms", store.p50)
        figures.add(ROW, "ours", "p50 ms", first.p50)
        figures.add(ROW, "ours", "p50 ms over the store", first.p50 - store.p50)
        figures.add(AGAIN, "ours", "p50 ms", second.p50)
        figures.add(AGAIN, "ours", "fetches a picture", (self._fetched() - before) / len(ids))

    def _fetched(self) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/count", timeout=10) as answer:
            return int(answer.read())


@contextmanager
def buckets(at: Setting, root: Path) -> Iterator[Buckets]:
    """The store with the 6-megapixel photo, transform on it, and nginx before that."""
    photo, port = at.photos["6 MP"], free_port()
    folder = photo.copies.path(photo.image_id, RUNG).parent
    environment = {
        "OBJECTS_URL": f"s3://{BUCKET}",
        "S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "S3_ACCESS_KEY_ID": "bench",
        "S3_SECRET_ACCESS_KEY": "bench",
    }
    root.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        command = [sys.executable, "-m", "tests.bench.store", str(port), str(folder)]
        stack.enter_context(running(command, root / "store.log", {}))
        wait_for_port(port)
        sockets = stack.enter_context(
            running_service(root / "transform", "services.transform.app:main", environment)
        )
        edge = stack.enter_context(running_edge(root / "edge", {"transform": sockets}))
        yield Buckets(edge, port, at.seconds)
