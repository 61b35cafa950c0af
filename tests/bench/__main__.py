"""The benchmark: `python -m tests.bench`, or with --quick one round of a minute."""

import argparse
import signal
import sys
from contextlib import ExitStack
from typing import Final

import msgspec

from deploy.local.programs import CHECKOUT
from tests.bench import authorising, cold, growth, memory, quality, report, uploads, validators
from tests.bench.buckets import buckets
from tests.bench.figures import Figures
from tests.bench.hits import FULL, THUMBNAILS, Hits
from tests.bench.progress import say
from tests.bench.quality import Pair
from tests.bench.setting import Setting, setting

PAGE: Final = CHECKOUT / "docs" / "benchmarks.md"
THUMBNAIL_COUNT: Final = 500
FULL_COUNT: Final = 20
EACH_ROUND: Final = ("cold", "hits", "full", "s3", "authorising", "uploads")
ONCE: Final = ("scores", "growth", "memory", "quality", "validators")  # the last empties nginx's cache
SLOW: Final = ("growth", "memory", "quality")


class Results(msgspec.Struct):
    """All that one run has found."""

    figures: Figures = msgspec.field(default_factory=Figures)
    pairs: list[Pair] = []
    plan: str = ""


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all that was started is stopped
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--quick", action="store_true", help="one short round, nothing that takes minutes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="how long a contender is driven at a time")
    parser.add_argument("--parts", nargs="+", choices=(*EACH_ROUND, *ONCE), help="only these; writes no page")
    chosen = parser.parse_args()
    rounds, seconds = (1, 1) if chosen.quick else (chosen.rounds, chosen.seconds)
    parts = chosen.parts or [part for part in (*EACH_ROUND, *ONCE) if not (chosen.quick and part in SLOW)]
    results = Results()
    try:
        with setting(seconds) as at:
            peers = [peer.version for peer in at.peers]
            _rounds(at, results.figures, parts, rounds)
            _once(at, results, parts, rounds)
    finally:  # half an hour's figures are not lost with the last of them
        sys.stdout.write(f"{report.table(results.figures)}\n\n{report.goals(results.figures)}\n")
    if not chosen.quick and not chosen.parts:
        text = report.page(results.figures, results.pairs, results.plan, peers, rounds, seconds)
        PAGE.write_text(text)
        say(f"written to {PAGE.relative_to(CHECKOUT)}")


def _rounds(at: Setting, figures: Figures, parts: list[str], rounds: int) -> None:
    """What takes turns, so that a busy minute of the machine touches all alike."""
    with ExitStack() as cleanup:
        steps = {
            "cold": lambda: cold.measure(at, figures),
            "authorising": lambda: authorising.measure(at, figures),
            "uploads": lambda: uploads.measure(at, figures),
        }
        if "hits" in parts:
            thumbnails = Hits(at, THUMBNAILS, "?w=150&h=150", THUMBNAIL_COUNT)
            steps["hits"] = lambda: thumbnails.measure(figures)
        if "full" in parts:
            full = Hits(at, FULL, "", FULL_COUNT)
            steps["full"] = lambda: full.measure(figures)
        if "s3" in parts:
            store = cleanup.enter_context(buckets(at, at.root / "buckets"))
            steps["s3"] = lambda: store.measure(figures)
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            for part in EACH_ROUND:
                if part in parts:
                    steps[part]()


def _once(at: Setting, results: Results, parts: list[str], rounds: int) -> None:
    if "scores" in parts:
        quality.measure_peers(at, results.figures)
    if "growth" in parts:
        results.plan = growth.measure(at, results.figures, rounds)
    if "memory" in parts:
        memory.measure(at, results.figures)
    if "quality" in parts:
        results.pairs = quality.measure_masters(results.figures)
    if "validators" in parts:
        validators.measure(at, results.figures)


if __name__ == "__main__":
    main()
