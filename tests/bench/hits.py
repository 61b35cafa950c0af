"""Hits: pictures in nginx's cache, beside the same bytes as static files of the same nginx."""

from collections.abc import Sequence
from typing import Final

from tests.bench.figures import Figures
from tests.bench.load import Load, drive
from tests.bench.progress import say
from tests.bench.setting import Setting
from tests.e2e import calls

THUMBNAILS: Final = "hits of 150x150 JPEG"
FULL: Final = "hits of the full picture, no parameter"
CONNECTIONS: Final = 64
PAUSE_MS: Final = 3


class Hits:
    """So many pictures of one row, all of them in the cache, and again as files."""

    def __init__(self, at: Setting, row: str, query: str, pictures: int) -> None:
        self._at = at
        self._row = row
        ids = at.photos["6 MP"].copies.make(pictures)
        self._paths = [f"/{image_id}{query}" for image_id in ids]
        self._files = [f"/{image_id}" for image_id in ids]
        rendered = at.metric("transform", "renders_total")
        with calls.client(at.stack) as cdn:
            for path, file in zip(self._paths, self._files, strict=True):
                (at.edge.folder / file[1:]).write_bytes(cdn.get(path).content)
        self.renders = (at.metric("transform", "renders_total") - rendered) / pictures

    def measure(self, figures: Figures) -> None:
        say(self._row)
        port, static = self._at.stack.port, self._at.edge.extra_port
        figures.add(self._row, "ours", "renders a picture", self.renders)
        full = self._drive(figures, self._row, "ours", port, self._paths)
        self._drive(figures, self._row, "static file", static, self._files)
        # Closed loops with pauses: so many connections make half of the full rate.
        connections = max(2, round(full.rate / 2 * (PAUSE_MS + 0.5) / 1000))
        half = f"{self._row}, half that load"
        self._drive(figures, half, "ours", port, self._paths, connections, PAUSE_MS)
        self._drive(figures, half, "static file", static, self._files, connections, PAUSE_MS)

    def _drive(
        self,
        figures: Figures,
        row: str,
        name: str,
        port: int,
        paths: Sequence[str],
        connections: int = CONNECTIONS,
        delay_ms: int = 0,
    ) -> Load:
        load = drive([port], paths, self._at.seconds, connections=connections, loop=True, delay_ms=delay_ms)
        for unit, value in (("requests/s", load.rate), ("p50 ms", load.p50), ("p99 ms", load.p99)):
            figures.add(row, name, unit, value)
        return load
