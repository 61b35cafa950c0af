"""The real pictures: a folder that is no part of the checkout, named by CORPUS_DIR."""

import os
from pathlib import Path
from typing import Final

import pytest

CHECKOUT: Final = Path(__file__).parents[1]
FOLDER: Final = Path(os.environ.get("CORPUS_DIR") or CHECKOUT / ".." / "shared" / "corpus")


def corpus(name: str) -> Path:
    """A file or a folder of the corpus; the test is skipped where it is missing."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"CORPUS_DIR has no {name}")
    return path
