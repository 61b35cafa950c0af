"""One table of medians."""

from statistics import median

from tests.bench.figures import Figures


def table(figures: Figures) -> str:
    lines = ["| row | contender | unit | median | min | max |", "|---|---|---|---|---|---|"]
    for row, name, unit, values in figures.rows():
        numbers = " | ".join(_number(value) for value in (median(values), min(values), max(values)))
        lines.append(f"| {row} | {name} | {unit} | {numbers} |")
    return "\n".join(lines)


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
