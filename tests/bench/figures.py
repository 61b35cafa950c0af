"""What was measured: of every row and contender the values of all rounds."""

from collections import defaultdict
from statistics import median


class Figures:
    """Values by row, contender and unit, in the order in which they were first seen."""

    def __init__(self) -> None:
        self._values: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)

    def add(self, row: str, name: str, unit: str, value: float) -> None:
        self._values[row, name, unit].append(value)

    def rows(self) -> list[tuple[str, str, str, list[float]]]:
        """Each row's together, whenever they were measured."""
        order = list(dict.fromkeys(row for row, _, _ in self._values))
        found = [(*key, values) for key, values in self._values.items()]
        return sorted(found, key=lambda each: order.index(each[0]))

    def values(self, row: str, name: str, unit: str) -> list[float]:
        """Of all rounds; none where it was not measured."""
        return self._values.get((row, name, unit), [])

    def median(self, row: str, name: str, unit: str) -> float | None:
        values = self.values(row, name, unit)
        return median(values) if values else None

    def ratio(self, row: str, unit: str, name: str, other: str) -> float | None:
        """The median of `name` over that of `other`; None where one was not measured."""
        ours, theirs = self.median(row, name, unit), self.median(row, other, unit)
        return ours / theirs if ours is not None and theirs else None
