"""kill -9 of ingest at every step of an upload: nothing that was answered is lost, nothing is left over."""

import time
import uuid
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest

from services.ingest.failpoints import STEPS
from tests.faults.broken import Breakable
from tests.faults.figures import figure
from tests.faults.load import outcome
from tests.stack import wait_for

RETRY_SECONDS = 60
ORPHANS_SECONDS = 90  # a janitor that was killed at its work leaves it leased for 30 s

RUNS = [5, pytest.param(200, marks=pytest.mark.faults)]


class Crashed(NamedTuple):
    """An upload that a crash met: the answers until one was 200, and that one."""

    statuses: list[str]
    made: dict[str, object]


def upload_until_taken(api: httpx2.Client, picture: bytes, user_id: str) -> Crashed:
    """As a client that tries again with the same Idempotency-Key."""
    headers = {"Idempotency-Key": f"crash {user_id}"}
    statuses: list[str] = []
    deadline = time.monotonic() + RETRY_SECONDS
    while time.monotonic() < deadline:
        files = {"image": ("a.jpg", picture)}
        answer = api.post("/v1/upload", data={"user_id": user_id}, files=files, headers=headers)
        statuses.append(outcome(answer))
        if answer.status_code == 200:
            return Crashed(statuses, answer.json())
        # 409: PostgreSQL has not noticed yet that the holder of the key is dead.
        assert answer.status_code in (409, 503), answer.text
        time.sleep(0.1)
    pytest.fail(f"never accepted: {statuses}")


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_loses_nothing_and_leaves_nothing(
    breakable: Breakable,
    api: httpx2.Client,
    cdn: httpx2.Client,
    picture: bytes,
    failpoints: Path,
    step: str,
    runs: int,
) -> None:
    retried = 0
    for _ in range(runs):
        user_id = uuid.uuid4().hex
        (failpoints / step).touch()
        crashed = upload_until_taken(api, picture, user_id)
        assert not (failpoints / step).exists(), "no process died"
        retried += len(crashed.statuses) > 1
        image_id = crashed.made["image_id"]

        assert breakable.incomplete() == []
        assert breakable.miscounted() == []
        ready = breakable.sql("SELECT image_id FROM images WHERE user_id = $1 AND status = 'ready'", user_id)
        assert [row["image_id"] for row in ready] == [image_id], "stored twice, or not at all"
        assert cdn.get(f"/{image_id}").status_code == 200
        assert cdn.get(f"/{image_id}?w=30").status_code == 200
        again = upload_until_taken(api, picture, user_id)
        assert again.made == crashed.made
    figure(
        f"kill -9 of ingest, step {step!r}",
        f"{runs} runs, 0 pictures lost, 0 stored twice, {retried} where the client had to retry",
    )


def test_what_a_crash_left_is_gone_after_the_janitors_next_round(
    breakable: Breakable, api: httpx2.Client, picture: bytes, failpoints: Path
) -> None:
    """Of the crashes before too."""
    for step in STEPS:
        (failpoints / step).touch()
        upload_until_taken(api, picture, uuid.uuid4().hex)
    left, began = len(breakable.orphans()), time.monotonic()
    wait_for(lambda: not breakable.orphans(), ORPHANS_SECONDS)
    assert left
    assert breakable.miscounted() == []
    seconds = time.monotonic() - began
    figure(
        f"pictures that {len(STEPS)} crashes left half made",
        f"{left}, all gone within {seconds:.1f} s, where PENDING_SECONDS is 4",
    )
