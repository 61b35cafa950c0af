"""`python -m tests.bench [--quick]`."""

import sys

from tests.bench import cold, report
from tests.bench.figures import Figures
from tests.bench.hits import Hits
from tests.bench.setting import say, setting

rounds, seconds = (1, 3) if "--quick" in sys.argv else (int(sys.argv[1]) if len(sys.argv) > 1 else 5, 4)
figures = Figures()
with setting(seconds) as at:
    hits = Hits(at)
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        cold.measure(at, figures)
        hits.measure(figures)
print(report.table(figures))
