from typing import Annotated

import msgspec
import pytest
from msgspec import Meta, Struct

from libs.settings import Secret, load, parse


class Example(Struct, frozen=True, kw_only=True, rename="upper"):
    database_url: Secret
    processes: Annotated[int, Meta(ge=1)] = 2
    timeout_seconds: float = 0.5


def test_values_are_read_by_their_types_and_the_rest_has_defaults() -> None:
    settings = parse(Example, {"DATABASE_URL": "x", "PROCESSES": "4", "PATH": "/bin"})
    assert (settings.database_url.reveal(), settings.processes, settings.timeout_seconds) == ("x", 4, 0.5)


def test_an_empty_variable_counts_as_absent() -> None:
    assert parse(Example, {"DATABASE_URL": "x", "PROCESSES": ""}).processes == 2


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, "DATABASE_URL"),
        ({"DATABASE_URL": ""}, "DATABASE_URL"),
        ({"DATABASE_URL": "x", "PROCESSES": "0"}, "PROCESSES"),
        ({"DATABASE_URL": "x", "PROCESSES": "two"}, "PROCESSES"),
    ],
)
def test_a_bad_variable_is_named(environment: dict[str, str], name: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=name):
        parse(Example, environment)


def test_a_process_ends_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "x")
    monkeypatch.setenv("PROCESSES", "0")
    with pytest.raises(SystemExit) as caught:
        load(Example)
    assert str(caught.value.code).startswith("settings: ")
    assert "PROCESSES" in str(caught.value.code)
    assert "\n" not in str(caught.value.code)


def test_a_secret_does_not_show() -> None:
    settings = parse(Example, {"DATABASE_URL": "hunter2"})
    assert "hunter2" not in f"{settings!r} {settings.database_url} {settings.database_url!r}"
    assert settings.database_url
    assert not Secret("")
