"""Settings: the environment as one frozen struct, or a start that ends with one line."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec


class Secret:
    """A string that does not show itself in a repr, a log or a traceback."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __bool__(self) -> bool:
        return bool(self._value)


S = TypeVar("S", bound=msgspec.Struct)


def _decode(kind: type, value: object) -> object:
    if kind is Secret:
        return Secret(str(value))
    if kind is Path:
        return Path(str(value))
    raise NotImplementedError(kind)


def parse(kind: type[S], environment: Mapping[str, str]) -> S:
    """`environment` as a `kind` whose fields are renamed to upper case.

    An empty variable counts as absent. Raises msgspec.ValidationError naming the variable.
    """
    present = {name: value for name, value in environment.items() if value}
    return msgspec.convert(present, kind, strict=False, dec_hook=_decode)


def load(kind: type[S]) -> S:
    """The settings of this process, or exit 2 with one line that names the variable."""
    try:
        return parse(kind, os.environ)
    except msgspec.ValidationError as error:
        sys.exit(f"settings: {error}")
