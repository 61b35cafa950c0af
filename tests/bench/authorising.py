"""What asking auth adds: one nginx before a service that does nothing, with auth_request and without."""

from typing import Final

from tests.bench.figures import Figures
from tests.bench.pace import pace
from tests.bench.progress import say
from tests.bench.setting import Setting

ROW: Final = "authorising at 500 requests/s"
RATE: Final = 500


def measure(at: Setting, figures: Figures) -> None:
    say(ROW)
    path = "/v1/images/img_0123456789abcdef"
    key = f"Authorization: Bearer {at.key}\r\n"
    # Turn about, so that neither has the quieter seconds.
    without = pace(at.edge.extra_port, [f"/open{path}"], RATE, at.seconds, key)
    asked = pace(at.edge.port, [path], RATE, at.seconds, key)
    for name, each in (("without", without), ("with", asked)):
        figures.add(ROW, name, "p50 ms", each.p50)
        figures.add(ROW, name, "p99 ms", each.p99)
    figures.add(ROW, "added", "p50 ms", asked.p50 - without.p50)
    figures.add(ROW, "added", "p99 ms", asked.p99 - without.p99)
