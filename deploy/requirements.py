"""Prints what of requirements.lock one dependency group needs: `python3 deploy/requirements.py auth`.

The lock says of each package who wants it (`# via`). pip refuses to install where anything is missing.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

CHECKOUT: Final = Path(__file__).parents[1]
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def direct(groups: dict[str, Any], group: str) -> Iterator[str]:
    """The packages that a group of pyproject.toml names, itself or by the groups that it includes."""
    for entry in groups[group]:
        if isinstance(entry, dict):
            yield from direct(groups, entry["include-group"])
        elif match := NAME.match(entry):
            yield normal(match[0])


def blocks(lock: str) -> list[tuple[str, str, set[str]]]:
    """Each requirement of the lock: its package, its lines, and who wants it."""
    found = []
    for block in re.split(r"(?m)^(?=[a-z0-9])", lock):
        if match := NAME.match(block):
            wanted_by = re.findall(r"(?m)^    #(?: via)? +([A-Za-z0-9._-]+)", block)
            found.append((normal(match[0]), block, {normal(name) for name in wanted_by}))
    return found


def select(lock: str, roots: set[str]) -> str:
    """The requirements of `roots` and of all that these want in turn."""
    everything = blocks(lock)
    needed: set[str] = set()
    new = set(roots)
    while new:
        needed |= new
        new = {name for name, _, wanted_by in everything if wanted_by & needed} - needed
    if missing := roots - {name for name, _, _ in everything}:
        raise SystemExit(f"requirements.lock lacks {', '.join(sorted(missing))}: run make lock")
    return "".join(block for name, block, _ in everything if name in needed)


def main() -> None:
    groups = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["dependency-groups"]
    (group,) = sys.argv[1:]
    sys.stdout.write(select((CHECKOUT / "requirements.lock").read_text(), set(direct(groups, group))))


if __name__ == "__main__":
    main()
