"""What came of a run: the table for the terminal, and docs/benchmarks.md."""

import os
import platform
import subprocess
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Final

import pyvips

from tests.bench.figures import Figures
from tests.bench.goals import GOALS
from tests.bench.quality import Pair

METHOD: Final = Path(__file__).with_name("method.md")


def goals(figures: Figures) -> str:
    """The figures to reach, and what was reached."""
    lines = ["| what | figure | measured | |", "|---|---|---|---|"]
    for goal in GOALS:
        value = goal.value(figures)
        if value is not None:
            lines.append(
                f"| {goal.what} | {goal.text} | {_number(value)} | {'yes' if goal.met(value) else '**no**'} |"
            )
    return "\n".join(lines)


def table(figures: Figures) -> str:
    """Everything that was measured, and ours over each of the others."""
    lines = [
        "| row | contender | unit | median | min | max | ours over it |",
        "|---|---|---|---|---|---|---|",
    ]
    for row, name, unit, values in figures.rows():
        numbers = " | ".join(_number(value) for value in (median(values), min(values), max(values)))
        ratio = figures.ratio(row, unit, "ours", name) if unit == "requests/s" and name != "ours" else None
        lines.append(
            f"| {row} | {name} | {unit} | {numbers} | {f'{ratio:.2f}' if ratio is not None else ''} |"
        )
    return "\n".join(lines)


def qualities(pairs: Sequence[Pair]) -> str:
    """Each variant from its master and from the original."""
    head = (
        "| photo | variant | format | bytes: master | original | % | SSIMULACRA2: master | original | lost |"
    )
    lines = [head, "|---|---|---|---|---|---|---|---|---|"]
    return "\n".join([*lines, *map(_quality, pairs)])


def _quality(pair: Pair) -> str:
    size = f"{pair.master_bytes:,} | {pair.original_bytes:,} | {pair.growth * 100:+.1f}"
    score = f"{pair.master_score:.2f} | {pair.original_score:.2f} | {pair.lost:+.2f}"
    return f"| {pair.photo} | {pair.variant} | {pair.format} | {size} | {score} |"


def page(
    figures: Figures, pairs: Sequence[Pair], plan: str, peers: Sequence[str], rounds: int, seconds: int
) -> str:
    """docs/benchmarks.md."""
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    load = os.getloadavg()[0]
    parts = [
        "# Benchmarks",
        "Written by `make bench`; do not edit. Medians of the rounds of one run, with minimum and maximum.",
        f"{when}; {rounds} rounds of {seconds} s a contender; load average at the end {load:.1f}.",
        f"Machine: {_machine()}.",
        f"Versions: {'; '.join([*_versions(), *peers])}.",
        "## Figures to reach",
        goals(figures),
        "## Everything",
        table(figures),
    ]
    if pairs:
        parts += ["## Quality of masters", qualities(pairs)]
    if plan:
        parts += ["## The plan of the listing", f"```\n{plan}\n```"]
    return "\n\n".join([*parts, METHOD.read_text().strip()]) + "\n"


def _machine() -> str:
    models = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
    ]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    name = models[0].partition(": ")[2] if models else platform.machine()
    return f"{os.cpu_count()} cores of {name}, {memory:.0f} GiB, Linux {platform.release().split('-')[0]}"


def _versions() -> list[str]:
    nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=False).stderr.strip()
    vips = ".".join(str(pyvips.version(part)) for part in range(3))
    packages = [f"{name} {version(name)}" for name in ("starlette", "uvicorn", "uvloop", "pyvips")]
    return [f"Python {platform.python_version()}", f"libvips {vips}", nginx.partition(": ")[2], *packages]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
