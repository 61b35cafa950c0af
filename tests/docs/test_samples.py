"""Every sample, copied from the page as it is served, and run as a reader would: with a key and a picture."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx2
import msgspec
import pytest

from tests import programs
from tests.docs import page
from tests.docs.conftest import USER_ID
from tests.docs.page import Element
from tests.docs.test_page import EXAMPLE_ID
from tests.e2e import calls
from tests.e2e.dashboard import sign_up
from tests.programs import program
from tests.stack import Stack

RUN_SECONDS: Final = 120
EXAMPLE_KEY_ID: Final = "key_1234567890abcdef"
EXAMPLE_ACCOUNT_ID: Final = "acct_1234567890abcdef"
SAMPLES: Final = page.parse(page.FILE.read_text()).named("data-sample")
SHELL: Final = [name for name in SAMPLES if name.endswith(".sh")]
PROGRAMS: Final = [name for name in SAMPLES if not name.endswith(".sh")]


def _ruby() -> list[str]:
    return programs.ruby("httparty") and programs.ruby("faraday")


def _go() -> list[str]:
    return [program("go"), "run"]


RUNNERS: Final[dict[str, Callable[[], list[str]]]] = {
    ".sh": lambda: [program("curl") and "sh", "-eu"],
    ".py": lambda: [sys.executable, "-W", "error"],
    ".rb": _ruby,
    ".mjs": lambda: [program("node")],
    ".cjs": programs.node,
    ".php": programs.php,
    ".go": _go,
}


class Reader:
    """Someone with a key and a picture, who runs what the page says."""

    def __init__(self, folder: Path, docs: Element, key: str, avatar: bytes) -> None:
        self._folder = folder
        self._samples = docs.named("data-sample")
        self._environment = os.environ | {
            "USER_PHOTOS_API_KEY": key,
            "NODE_PATH": str(programs.NODE_MODULES),
            "GOTOOLCHAIN": "local",
        }
        (folder / "avatar.jpg").write_bytes(avatar)

    def run(self, name: str, key: str | None = None, **ids: str) -> subprocess.CompletedProcess[str]:
        """What the sample does, each of its example ids replaced by one that exists."""
        text = self._samples[name]
        for example, real in ids.items():
            text = text.replace(example, real)
        file = self._folder / name
        file.write_text(text)
        environment = self._environment | ({"USER_PHOTOS_API_KEY": key} if key else {})
        command = [*RUNNERS[file.suffix](), file.name]
        return subprocess.run(
            command,
            cwd=self._folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )


@pytest.fixture
def reader(tmp_path: Path, docs: Element, key: str, avatar: bytes) -> Reader:
    return Reader(tmp_path, docs, key, avatar)


def shape(value: Any) -> Any:
    """Names and types, without the values."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


@pytest.mark.parametrize("name", SHELL)
def test_a_command_gets_the_answer_that_the_page_shows(
    name: str, reader: Reader, docs: Element, stack: Stack, avatar: bytes
) -> None:
    """By an account of its own on the page's plan, with two pictures: some commands change the account."""
    account = sign_up(stack)
    with calls.client(stack, account.key) as api:
        calls.upload(api, avatar, USER_ID)
        image_id = calls.upload(api, avatar, USER_ID)["image_id"]
        key_id = api.post("/v1/keys", json={"name": "production"}).json()["key"]["id"]
    ids = {EXAMPLE_ID: image_id, EXAMPLE_KEY_ID: key_id, EXAMPLE_ACCOUNT_ID: account.account_id}
    done = reader.run(name, account.key, **ids)
    assert done.returncode == 0, done.stderr
    answer = msgspec.json.decode(done.stdout)
    assert answer["success"] is True, answer
    shown = docs.named("data-answer").get(name)
    if shown:
        assert shape(answer) == shape(msgspec.json.decode(shown))


def test_every_answer_on_the_page_belongs_to_a_command(source: Element) -> None:
    assert set(source.named("data-answer")) <= set(SHELL)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_prints_the_url_of_the_picture(name: str, reader: Reader) -> None:
    done = reader.run(name)
    assert done.returncode == 0, done.stderr
    url = done.stdout.strip()
    assert re.fullmatch(r"https?://[^/]+/img_[0-9a-f]{16}", url)
    assert httpx2.get(url).headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_says_why_it_was_refused(name: str, reader: Reader) -> None:
    done = reader.run(name, key="up_live_wrong")
    assert "INVALID_API_KEY" in done.stdout + done.stderr
    assert "img_" not in done.stdout


def test_there_are_samples_in_every_language() -> None:
    assert {Path(name).suffix for name in SAMPLES} == set(RUNNERS)
