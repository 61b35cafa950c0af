"""What clients were answered, counted from nginx's access log."""

from collections.abc import Iterable
from typing import Final

import msgspec
from prometheus_client import Counter, Histogram

from libs.metrics import counter
from libs.service import METHODS, OTHER

REQUESTS: Final = Counter(
    "edge_requests_total",
    "Requests that nginx answered; cache is HIT, MISS, … or none",
    ["route", "method", "status", "cache"],
)
SECONDS: Final = Histogram(
    "edge_request_seconds",
    "Seconds from a request's first byte to its answer's last, at the pace of the client",
    ["route", "cache"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
BYTES: Final = Counter("edge_sent_bytes_total", "Bytes of the answers' bodies", ["route", "cache"])
LINES: Final = counter("access_log_lines_total", "Lines of the access logs", end=("counted", "unreadable"))


class Line(msgspec.Struct):
    """What is counted of a line; nginx's map makes the route."""

    status: int
    bytes: int
    seconds: float
    method: str
    route: str = OTHER
    cache: str = ""


class Tally:
    """Counts lines; the series of each kind of request are looked up once."""

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(Line)
        self._requests: dict[tuple[str, str, int, str], Counter] = {}
        self._rest: dict[tuple[str, str], tuple[Histogram, Counter]] = {}

    def count(self, lines: Iterable[bytes]) -> None:
        for text in lines:
            try:
                line = self._decoder.decode(text)
            except msgspec.MsgspecError:
                LINES.labels("unreadable").inc()
            else:
                LINES.labels("counted").inc()
                self._count(line)

    def _count(self, line: Line) -> None:
        method = line.method if line.method in METHODS else OTHER
        cache = line.cache or "none"
        key = line.route, method, line.status, cache
        requests = self._requests.get(key)
        if requests is None:
            requests = self._requests[key] = REQUESTS.labels(*key)
        requests.inc()
        rest = self._rest.get((line.route, cache))
        if rest is None:
            rest = SECONDS.labels(line.route, cache), BYTES.labels(line.route, cache)
            self._rest[line.route, cache] = rest
        rest[0].observe(line.seconds)
        rest[1].inc(line.bytes)
