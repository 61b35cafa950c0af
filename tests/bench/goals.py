"""The figures to reach, each computed from what was measured."""

from collections.abc import Callable
from typing import Final

import msgspec

from tests.bench.authorising import ROW as AUTHORISING
from tests.bench.buckets import AGAIN
from tests.bench.buckets import ROW as BUCKET
from tests.bench.cold import EQUAL
from tests.bench.figures import Figures
from tests.bench.growth import COLD, HITS, LISTING
from tests.bench.hits import FULL, THUMBNAILS
from tests.bench.memory import INGEST, TRANSFORM
from tests.bench.quality import MASTERS
from tests.bench.uploads import ROW as UPLOADS
from tests.bench.validators import ROW as VALIDATORS

JPEG_6, JPEG_24, WEBP = (
    "cold 150x150 JPEG of 6 MP",
    "cold 150x150 JPEG of 24 MP",
    "cold 400-wide WebP of 6 MP",
)
RATE: Final = "requests/s"


class Goal(msgspec.Struct, frozen=True):
    """`value` is None where it was not measured; `least`, `most`: what it has to be."""

    what: str
    value: Callable[[Figures], float | None]
    least: float | None = None
    most: float | None = None

    def met(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    @property
    def text(self) -> str:
        return f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}"


def _ratio(row: str, other: str, unit: str = RATE, name: str = "ours") -> Callable[[Figures], float | None]:
    return lambda figures: figures.ratio(row, unit, name, other)


def _of(row: str, name: str, unit: str) -> Callable[[Figures], float | None]:
    return lambda figures: figures.median(row, name, unit)


def _over_the_render(figures: Figures) -> float | None:
    parts = [
        figures.median(JPEG_6, *key)
        for key in (("ours", "CPU ms of nginx"), ("ours", "CPU ms of transform"), ("bare, master", "CPU ms"))
    ]
    if None in parts:
        return None
    nginx, transform, bare = (part or 0.0 for part in parts)
    return nginx + transform - bare


def _tail(figures: Figures) -> float | None:
    p50, p99 = (figures.median(JPEG_6, "ours", unit) for unit in ("p50 ms", "p99 ms"))
    return p99 / p50 if p50 and p99 else None


def _points(figures: Figures) -> float | None:
    ours, theirs = (figures.median(WEBP, name, "SSIMULACRA2") for name in (EQUAL, "ipx"))
    return ours - theirs if ours is not None and theirs is not None else None


def _percent(ratio: Callable[[Figures], float | None]) -> Callable[[Figures], float | None]:
    def value(figures: Figures) -> float | None:
        found = ratio(figures)
        return None if found is None else abs(found - 1) * 100

    return value


def _settled(row: str, early: str, late: str) -> Callable[[Figures], float | None]:
    return _percent(lambda figures: figures.ratio(row, "MB", late, early))


def _worst(row: str, name: str, unit: str) -> Callable[[Figures], float | None]:
    return lambda figures: max(figures.values(row, name, unit), default=None)


GOALS: Final = (
    Goal("cold 150x150 JPEG of 6 MP: times ipx", _ratio(JPEG_6, "ipx"), least=6),
    Goal("cold 150x150 JPEG of 6 MP: times thumbor", _ratio(JPEG_6, "thumbor"), least=30),
    Goal("cold 150x150 JPEG of 24 MP: times ipx", _ratio(JPEG_24, "ipx"), least=30),
    Goal("cold 400-wide WebP at its score: times ipx", _ratio(WEBP, "ipx", name=EQUAL), least=2.5),
    Goal(
        "its bytes beside those of ipx, % apart",
        _percent(_ratio(WEBP, "ipx", "bytes of the picture", EQUAL)),
        most=3,
    ),
    Goal("its SSIMULACRA2 less that of ipx", _points, least=0),
    Goal("CPU of nginx and transform over the bare render, ms", _over_the_render, most=0.8),
    Goal("p99 over median of cold JPEGs at 32 clients", _tail, most=4),
    Goal(
        "cold from S3 over the store's own time, p50 ms", _of(BUCKET, "ours", "p50 ms over the store"), most=3
    ),
    Goal("fetches for a second size of the same picture", _of(AGAIN, "ours", "fetches a picture"), most=0),
    Goal("hits over a static file", _ratio(THUMBNAILS, "static file"), least=0.85),
    Goal("hits at half that load, p99 ms", _of(f"{THUMBNAILS}, half that load", "ours", "p99 ms"), most=5),
    *(
        Goal(f"{unit} of a {name}", _of(VALIDATORS, name, f"{unit} a request"), most=0)
        for name in ("HEAD of a hit", "304 of a hit", "304 of a cold variant")
        for unit in ("renders", "fetches of pixels")
    ),
    Goal("uploads over a bare loop", _ratio(UPLOADS, "bare loop"), least=0.5),
    Goal("an upload alone, p50 ms", _of(UPLOADS, "ours, alone", "p50 ms"), most=60),
    Goal("authorising adds at p50, ms", _of(AUTHORISING, "added", "p50 ms"), most=1.5),
    Goal("authorising adds at p99, ms", _of(AUTHORISING, "added", "p99 ms"), most=8),
    Goal("renders of a full picture", _of(FULL, "ours", "renders a picture"), most=0),
    Goal("full pictures over a static file", _ratio(FULL, "static file"), least=0.8),
    Goal("transform after 50,000 renders, MB", _of(TRANSFORM, "after 50,000 renders", "MB"), most=200),
    Goal(
        "its growth since 10,000, %",
        _settled(TRANSFORM, "after 10,000 renders", "after 50,000 renders"),
        most=5,
    ),
    Goal("ingest after 2,000 uploads, MB", _of(INGEST, "after 2,000 uploads", "MB"), most=200),
    Goal("its growth since 400, %", _settled(INGEST, "after 400 uploads", "after 2,000 uploads"), most=5),
    Goal("hits after growth over those before", _ratio(HITS, "empty", name="grown"), least=0.95),
    Goal("cold renders after growth over those before", _ratio(COLD, "empty", name="grown"), least=0.95),
    Goal("listing a user's images, ms", _of(LISTING, "PostgreSQL", "ms"), most=5),
    Goal("SSIMULACRA2 lost by masters, median", _of(MASTERS, "points lost", "SSIMULACRA2"), most=1),
    Goal("SSIMULACRA2 lost by masters, worst", _worst(MASTERS, "points lost", "SSIMULACRA2"), most=2),
    Goal("bytes from masters, largest difference, %", _worst(MASTERS, "bytes", "% apart"), most=3),
)
