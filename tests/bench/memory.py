"""Memory after many renders and after many uploads: the largest process of each service."""

import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import psutil

from tests.bench.figures import Figures
from tests.bench.pace import ask
from tests.bench.progress import say
from tests.bench.setting import Setting
from tests.bench.uploads import Uploader, body

TRANSFORM: Final = "memory of transform, the largest worker"
INGEST: Final = "memory of ingest, the largest process"
SIDES: Final = (32, 48, 64, 96, 128, 150, 200, 256, 320, 400, 512, 800)
FORMATS: Final = ("jpg", "webp")
RENDERS: Final = (10_000, 50_000)
UPLOADS: Final = (400, 2_000)
CLIENTS: Final = 4


def measure(at: Setting, figures: Figures) -> None:
    """Processes that were just started, so that nothing of the rounds before is counted."""
    at.stack.restart("transform")
    at.stack.restart("ingest")
    done = 0
    for renders in RENDERS:
        say(f"{renders:,} renders of mixed sizes")
        ask(at.stack.port, _paths(at, renders - done))
        done = renders
        figures.add(TRANSFORM, f"after {renders:,} renders", "MB", _largest(at, "transform"))
    picture = body(at.photos["avatar"].file)
    done = 0
    for uploads in UPLOADS:
        say(f"{uploads:,} uploads")
        with ThreadPoolExecutor(CLIENTS) as threads:
            each = (uploads - done) // CLIENTS
            list(threads.map(lambda _, count=each: Uploader(at, picture).count(count), range(CLIENTS)))
        done = uploads
        figures.add(INGEST, f"after {uploads:,} uploads", "MB", _largest(at, "ingest"))


def _paths(at: Setting, count: int) -> list[str]:
    """Mostly small, as avatars are, each variant once."""
    chance = random.Random(count)
    ids = at.photos["6 MP"].copies.make(min(count, 20_000))
    variants = [f"w={side}&f={kind}" for side, kind in itertools.product(SIDES, FORMATS)]
    pairs = chance.sample(range(len(ids) * len(variants)), count)
    return [f"/{ids[pair // len(variants)]}?{variants[pair % len(variants)]}" for pair in pairs]


def _largest(at: Setting, service: str) -> float:
    return float(max(psutil.Process(pid).memory_info().rss for pid in at.stack.pids(service)) / 1_000_000)
