"""What a HEAD and a 304 cost, counted and not timed: renders, and masters fetched from the store."""

import http.client
from collections.abc import Mapping
from typing import Final

from tests.bench.figures import Figures
from tests.bench.progress import say
from tests.bench.setting import Setting

COUNT: Final = 50
ROW: Final = "HEAD and 304"


def measure(at: Setting, figures: Figures) -> None:
    say(ROW)
    photo = at.photos["6 MP"]
    warm = [f"/{each}?w=150&h=150" for each in photo.copies.make(COUNT)]
    tags = _ask(at, "GET", warm, {}, 200)
    cold = [f"/{each}?w=150&h=150" for each in photo.copies.make(COUNT)]
    _counted(at, figures, "HEAD of a cold variant", "HEAD", cold, {}, 200)
    _counted(at, figures, "HEAD of a hit", "HEAD", warm, {}, 200)
    # A browser that has the picture comes back, and this node has not: its cache is new, or has dropped it.
    known = [path.replace("w=150&h=150", "w=151") for path in warm]
    known_tags = _ask(at, "GET", known, {}, 200)
    _counted(at, figures, "304 of a hit", "GET", warm, dict(zip(warm, tags, strict=True)), 304)
    _forget(at)
    _counted(
        at, figures, "304 of a cold variant", "GET", known, dict(zip(known, known_tags, strict=True)), 304
    )


def _counted(
    at: Setting,
    figures: Figures,
    name: str,
    method: str,
    paths: list[str],
    tags: Mapping[str, str],
    status: int,
) -> None:
    before = _counts(at)
    _ask(at, method, paths, tags, status)
    for unit, value in _counts(at).items():
        figures.add(ROW, name, f"{unit} a request", (value - before[unit]) / len(paths))


def _counts(at: Setting) -> dict[str, float]:
    return {
        "renders": at.metric("transform", "renders_total"),
        "fetches of pixels": at.metric("transform", 'masters_total{source="store"}'),
        "requests to transform": at.metric("transform", "http_requests_total"),
    }


def _ask(at: Setting, method: str, paths: list[str], tags: Mapping[str, str], status: int) -> list[str]:
    """The validators of the answers, which all have this status."""
    connection = http.client.HTTPConnection("127.0.0.1", at.stack.port, timeout=60)
    found = []
    for path in paths:
        connection.request(method, path, headers={"If-None-Match": tags[path]} if tags else {})
        answer = connection.getresponse()
        answer.read()
        if answer.status != status:
            raise RuntimeError(f"{method} {path}: {answer.status}, not {status}")
        found.append(answer.headers["ETag"])
    connection.close()
    return found


def _forget(at: Setting) -> None:
    """nginx begins with an empty cache, and transform with an empty memory."""
    for program in ("nginx", "transform"):
        at.stack.restart(program)
