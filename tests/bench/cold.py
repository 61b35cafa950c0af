"""Cold pictures: each request of another id, or of another file name."""

from typing import Final

import msgspec

from tests.bench.bare import SQUARE, WIDE, Target, bare
from tests.bench.figures import Figures
from tests.bench.load import Load, drive
from tests.bench.processes import cpu_seconds, with_children
from tests.bench.setting import Photo, Setting, say
from tests.e2e import calls

CONNECTIONS: Final = 32
RATE: Final = "requests/s"
ENOUGH: Final = {"ours": 2500, "ipx": 400, "thumbor": 100}  # cold names a second, more than any has taken


class Row(msgspec.Struct, frozen=True):
    name: str
    photo: str
    query: str
    target: Target
    rung: str
    peers: tuple[str, ...]


ROWS: Final = (
    Row("cold 150x150 JPEG of 6 MP", "6 MP", "w=150&h=150", SQUARE, "320", ("ipx", "thumbor")),
    Row("cold 150x150 JPEG of 24 MP", "24 MP", "w=150&h=150", SQUARE, "320", ("ipx",)),
    Row("cold 400-wide WebP of 6 MP", "6 MP", "w=400&f=webp", WIDE, "512", ("ipx", "thumbor")),
)


def measure(at: Setting, figures: Figures) -> None:
    """One round of every row."""
    for row in ROWS:
        say(row.name)
        photo = at.photos[row.photo]
        _ours(at, figures, row, photo)
        for name in row.peers:
            _peer(at, figures, row, photo, name)
        _limits(at, figures, row, photo)
    _ceiling(at, figures)


def _ours(at: Setting, figures: Figures, row: Row, photo: Photo) -> None:
    ids = photo.copies.make(ENOUGH["ours"] * at.seconds)
    processes = {name: with_children(at.stack.pids(name)) for name in ("nginx", "transform")}
    rendered = calls.metric(at.stack, "transform", "renders_total")
    before = {name: cpu_seconds(each) for name, each in processes.items()}
    load = drive([at.stack.port], [f"/{image_id}?{row.query}" for image_id in ids], at.seconds)
    for name, each in processes.items():
        spent = cpu_seconds(each) - before[name]
        figures.add(row.name, "ours", f"CPU ms of {name}", spent / load.requests * 1000)
    rendered = calls.metric(at.stack, "transform", "renders_total") - rendered
    if rendered < load.requests:
        raise RuntimeError(f"{row.name}: {load.requests} answers from {rendered:.0f} renders: these were not cold")
    _add(figures, row.name, "ours", load)


def _peer(at: Setting, figures: Figures, row: Row, photo: Photo, name: str) -> None:
    peer = at.peer(name)
    names = peer.files.make(photo.file, ENOUGH[name] * at.seconds)
    template = peer.square if row.target == SQUARE else peer.wide
    _add(figures, row.name, name, drive(peer.ports, [template.format(name=each) for each in names], at.seconds))


def _limits(at: Setting, figures: Figures, row: Row, photo: Photo) -> None:
    master = photo.copies.path(photo.image_id, row.rung)
    for name, kind, file in (
        ("bare, original", "original", photo.file),
        ("bare, master", "master", master),
    ):
        rate, cpu = bare(kind, file, at.seconds / 2, row.target)
        figures.add(row.name, name, RATE, rate)
        figures.add(row.name, name, "CPU ms", cpu)


def _ceiling(at: Setting, figures: Figures) -> None:
    """The same nginx, over a service that does nothing."""
    ids = at.photos["6 MP"].copies.names(ENOUGH["ours"] * 4 * at.seconds)
    load = drive([at.edge.port], [f"/{image_id}?w=150&h=150" for image_id in ids], at.seconds)
    _add(figures, "a service that does nothing, behind the same nginx", "Starlette", load)


def _add(figures: Figures, row: str, name: str, load: Load) -> None:
    figures.add(row, name, RATE, load.rate)
    figures.add(row, name, "p50 ms", load.p50)
    figures.add(row, name, "p99 ms", load.p99)
    figures.add(row, name, "bytes", load.bytes / load.requests)

