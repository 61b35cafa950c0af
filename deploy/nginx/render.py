"""Fills in the templates of this folder: every ${UPPER_CASE}; nginx's own variables are lower case."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

TEMPLATES: Final = Path(__file__).parent
DASHBOARD: Final = TEMPLATES.parents[1] / "dashboard"
PATTERNS: Final = ("*.conf", "*.lua")
PLACEHOLDER: Final = re.compile(r"\$\{([A-Z][A-Z_]*)\}")


def render(values: Mapping[str, str], target: Path) -> None:
    """Every template with its placeholders filled in, in the same tree below `target`, nginx's prefix.

    The dashboard is linked there: nginx takes a $ in the path of a checkout for one of its variables.
    A line with ${LISTEN} comes once for each of the addresses, which are separated by spaces.
    """
    shutil.rmtree(target, ignore_errors=True)  # a file that is no longer made would still be included
    for template in sorted(path for pattern in PATTERNS for path in TEMPLATES.rglob(pattern)):
        text = "".join(_fill(line, values) for line in template.read_text().splitlines(keepends=True))
        rendered = target / template.relative_to(TEMPLATES)
        rendered.parent.mkdir(parents=True, exist_ok=True)
        rendered.write_text(text)
        rendered.chmod(0o600)
    (target / "dashboard").symlink_to(DASHBOARD)


def _fill(line: str, values: Mapping[str, str]) -> str:
    if line.lstrip().startswith("#"):
        return line
    addresses = values["LISTEN"].split() if "${LISTEN}" in line else [""]
    return "".join(_substitute(line, {**values, "LISTEN": address}) for address in addresses)


def _substitute(line: str, values: Mapping[str, str]) -> str:
    return PLACEHOLDER.sub(lambda match: values[match[1]], line)
