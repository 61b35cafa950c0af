"""Counters whose series are there from the start."""

from collections.abc import Iterable

from prometheus_client import Counter


def counter(name: str, documentation: str, **values: Iterable[str]) -> Counter:
    """A counter with one label, named by the keyword, and a series at 0 for each of its `values`.

    Prometheus sees no increase in a series that appears with its first event: an alert would miss that one.
    """
    ((label, known),) = values.items()
    made = Counter(name, documentation, [label])
    for value in known:
        made.labels(value)
    return made
