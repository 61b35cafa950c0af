"""Hits: pictures in nginx's cache, beside the same bytes as static files of the same nginx."""

from collections.abc import Sequence
from typing import Final

from tests.bench.figures import Figures
from tests.bench.load import Load, drive
from tests.bench.setting import Setting, say
from tests.e2e import calls

PICTURES: Final = 500
ROW: Final = "hits of 150x150 JPEG"
HALF: Final = "hits at half that load"
CONNECTIONS: Final = 64
PAUSE_MS: Final = 3


class Hits:
    """Keeps its pictures over all rounds."""

    def __init__(self, at: Setting) -> None:
        self._at = at
        photo = at.photos["6 MP"]
        ids = photo.copies.make(PICTURES)
        self._paths = [f"/{image_id}?w=150&h=150" for image_id in ids]
        self._files = [f"/{image_id}" for image_id in ids]
        with calls.client(at.stack) as cdn:
            for path, file in zip(self._paths, self._files, strict=True):
                (at.edge.folder / file[1:]).write_bytes(cdn.get(path).content)

    def measure(self, figures: Figures) -> None:
        say(ROW)
        port, static = self._at.stack.port, self._at.edge.static_port
        ours = self._drive(figures, ROW, "ours", port, self._paths)
        self._drive(figures, ROW, "static file", static, self._files)
        # Closed loops with pauses: so many connections make half of the full rate.
        connections = max(2, round(ours.rate / 2 * (PAUSE_MS + 0.5) / 1000))
        self._drive(figures, HALF, "ours", port, self._paths, connections, PAUSE_MS)
        self._drive(figures, HALF, "static file", static, self._files, connections, PAUSE_MS)

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
