from collections.abc import Iterator
from pathlib import Path

import pytest

from services.traffic.follow import Follower


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "one.log"
    path.write_text("before\n")
    return path


@pytest.fixture
def follower(log: Path) -> Iterator[Follower]:
    follower = Follower(str(log.with_name("*.log")))
    yield follower
    follower.close()


def read(follower: Follower) -> list[str]:
    return [line.decode() for lines in follower.chunks() for line in lines]


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_only_what_is_written_from_now_on_is_read(log: Path, follower: Follower) -> None:
    append(log, "one\ntwo\n")
    assert read(follower) == ["one", "two"]
    assert read(follower) == []


def test_a_line_is_read_when_it_is_whole(log: Path, follower: Follower) -> None:
    append(log, "one\ntw")
    assert read(follower) == ["one"]
    append(log, "o\n")
    assert read(follower) == ["two"]


def test_a_file_that_appears_is_read_from_its_start(log: Path, follower: Follower) -> None:
    log.with_name("two.log").write_text("one\n")
    assert read(follower) == ["one"]


def test_a_file_that_is_moved_aside_is_read_to_its_end(log: Path, follower: Follower) -> None:
    old = log.open("a")
    append(log, "one\n")
    log.rename(log.with_name("one.log.1"))
    log.write_text("three\n")
    assert sorted(read(follower)) == ["one", "three"]
    old.write("two\n")  # nginx has not opened the new one yet
    old.close()
    assert read(follower) == ["two"]
    append(log, "four\n")
    assert read(follower) == ["four"]


def test_a_file_that_is_emptied_is_read_from_its_start(log: Path, follower: Follower) -> None:
    append(log, "one\n")
    assert read(follower) == ["one"]
    log.write_text("two\n")
    assert read(follower) == ["two"]


def test_what_is_left_to_read_is_known(log: Path, follower: Follower) -> None:
    append(log, "one\n")
    assert follower.unread_bytes() == 4
    read(follower)
    assert follower.unread_bytes() == 0


def test_a_name_that_leads_nowhere_is_passed_over(log: Path, follower: Follower) -> None:
    log.with_name("link.log").symlink_to(log.with_name("nothing"))
    append(log, "one\n")
    assert read(follower) == ["one"]
