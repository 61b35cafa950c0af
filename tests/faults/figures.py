"""Figures for docs/reliability.md: lines that begin with "figure:", shown by pytest -s."""

import math
from collections.abc import Sequence


def figure(claim: str, value: object) -> None:
    print(f"\nfigure: {claim}: {value}")  # noqa: T201


def figures(claim: str, seconds: Sequence[float]) -> None:
    """Median, 99th percentile and maximum, in milliseconds."""
    parts = [f"{name} {share(seconds, part) * 1000:.1f} ms" for name, part in PARTS.items()]
    figure(claim, f"{', '.join(parts)} of {len(seconds)}")


PARTS = {"median": 0.5, "p99": 0.99, "max": 1.0}


def share(seconds: Sequence[float], part: float) -> float:
    """The value that `part` of all do not exceed."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, math.ceil(part * len(ordered)) - 1)] if ordered else math.nan
