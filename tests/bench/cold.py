"""Cold pictures: each request of another id, or of another file name."""

from typing import Final

import msgspec

from libs.pictures import likely_rung
from tests.bench.bare import SQUARE, WIDE, Target, bare
from tests.bench.figures import Figures
from tests.bench.load import Load, drive
from tests.bench.processes import Meter
from tests.bench.progress import say
from tests.bench.setting import Photo, Setting

CONNECTIONS: Final = 32
PEER_CONNECTIONS: Final = 16  # 8 a process are as many as either takes
PEER_SECONDS: Final = 4  # the slowest answers a few times a second
RATE: Final = "requests/s"
EQUAL: Final = "ours, q=84"
ENOUGH: Final = {"ours": 1500, "ipx": 400, "thumbor": 100}  # cold names a second, more than any has taken


class Row(msgspec.Struct, frozen=True):
    name: str
    photo: str
    query: str
    target: Target
    peers: tuple[str, ...]
    equal: str = ""  # the query that gives the score of ipx, where the same quality gives a better one


ROWS: Final = (
    Row("cold 150x150 JPEG of 6 MP", "6 MP", "w=150&h=150", SQUARE, ("ipx", "thumbor")),
    Row("cold 150x150 JPEG of 24 MP", "24 MP", "w=150&h=150", SQUARE, ("ipx",)),
    # At quality 85 ours scores 79.1 in 23,908 bytes, ipx 78.1 in 22,314; ours at 84: 78.5 in 22,908.
    Row("cold 400-wide WebP of 6 MP", "6 MP", "w=400&f=webp", WIDE, ("ipx", "thumbor"), "w=400&q=84&f=webp"),
)


def measure(at: Setting, figures: Figures) -> None:
    """One round of every row."""
    for row in ROWS:
        say(row.name)
        photo = at.photos[row.photo]
        _ours(at, figures, row, photo, "ours", row.query)
        if row.equal:
            _ours(at, figures, row, photo, EQUAL, row.equal)
        for name in row.peers:
            _peer(at, figures, row, photo, name)
        _limits(at, figures, row, photo)
    _ceiling(at, figures)


def _ours(at: Setting, figures: Figures, row: Row, photo: Photo, name: str, query: str) -> None:
    ids = photo.copies.make(ENOUGH["ours"] * at.seconds)
    rendered = at.metric("transform", "renders_total")
    meters = {program: Meter(at.stack.pids(program)) for program in ("nginx", "transform")}
    load = drive(
        [at.stack.port], [f"/{image_id}?{query}" for image_id in ids], at.seconds, connections=CONNECTIONS
    )
    for program, meter in meters.items():
        figures.add(row.name, name, f"CPU ms of {program}", meter.seconds() / load.requests * 1000)
    rendered = at.metric("transform", "renders_total") - rendered
    if rendered < load.requests:
        raise RuntimeError(
            f"{row.name}: {load.requests} answers from {rendered:.0f} renders: these were not cold"
        )
    _add(figures, row.name, name, load)


def _peer(at: Setting, figures: Figures, row: Row, photo: Photo, name: str) -> None:
    peer = at.peer(name)
    names = peer.files.make(photo.file, ENOUGH[name] * max(at.seconds, PEER_SECONDS))
    template = peer.square if row.target == SQUARE else peer.wide
    paths = [template.format(name=each) for each in names]
    seconds = max(at.seconds, PEER_SECONDS)
    _add(figures, row.name, name, drive(peer.ports, paths, seconds, connections=PEER_CONNECTIONS))


def _limits(at: Setting, figures: Figures, row: Row, photo: Photo) -> None:
    master = photo.copies.path(photo.image_id, likely_rung(row.target.width))
    for name, kind, file in (
        ("bare, original", "original", photo.file),
        ("bare, master", "master", master),
    ):
        rate, cpu = bare(kind, file, at.seconds / 2, row.target)
        figures.add(row.name, name, RATE, rate)
        figures.add(row.name, name, "CPU ms", cpu)


def _ceiling(at: Setting, figures: Figures) -> None:
    """The same nginx, over a service that does nothing."""
    ids = at.photos["6 MP"].copies.names(30_000 * at.seconds)
    load = drive([at.edge.port], [f"/{image_id}?w=150&h=150" for image_id in ids], at.seconds)
    _add(figures, "a service that does nothing, behind the same nginx", "Starlette", load)


def _add(figures: Figures, row: str, name: str, load: Load) -> None:
    figures.add(row, name, RATE, load.rate)
    figures.add(row, name, "p50 ms", load.p50)
    figures.add(row, name, "p99 ms", load.p99)
    figures.add(row, name, "bytes", load.bytes / load.requests)
