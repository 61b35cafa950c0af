"""Clocks of the services that jump, away from those of PostgreSQL, Redis and nginx: no answer is wrong."""

import time
import uuid
from collections.abc import Iterator
from typing import Final

import httpx2
import pytest

from tests import pictures
from tests.e2e import calls
from tests.faults.broken import QUICK, Breakable
from tests.faults.clock import SEEN_AFTER_SECONDS, Clock, leftovers, library
from tests.faults.figures import figure
from tests.faults.load import Load, outcome
from tests.stack import discard

JUMPS: Final = ["-1h", *(pytest.param(jump, marks=pytest.mark.faults) for jump in ("+1h", "+40d"))]
ONE_OF_EACH: Final = {f"{service}_PROCESSES": "1" for service in ("AUTH", "INGEST", "TRANSFORM")}


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clock]:
    found = library()
    if found is None:
        pytest.skip("faketime is not installed")
    before = leftovers()
    yield Clock(found, tmp_path_factory.mktemp("faketime"))
    for path in leftovers() - before:
        path.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def breakable(clock: Clock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Breakable]:
    folder = tmp_path_factory.mktemp("clock") / "var"
    running = Breakable(folder, {**QUICK, **ONE_OF_EACH}, command=clock.command)
    yield running
    running.stop()
    discard(folder)


@pytest.fixture(scope="module")
def key(breakable: Breakable) -> str:
    """Of an account whose requests are counted."""
    return breakable.create_account("business")


@pytest.fixture(scope="module")
def api(breakable: Breakable, key: str) -> Iterator[httpx2.Client]:
    with calls.client(breakable, key) as client:
        yield client


@pytest.fixture(autouse=True)
def true_time(clock: Clock) -> Iterator[None]:
    yield
    clock.set("+0")
    time.sleep(SEEN_AFTER_SECONDS)


@pytest.mark.parametrize("jump", JUMPS)
def test_a_clock_that_jumps_gives_no_wrong_answer(
    breakable: Breakable, clock: Clock, api: httpx2.Client, key: str, jump: str
) -> None:
    picture = pictures.jpeg(60, 40)
    image_id = calls.upload(api, picture)["image_id"]

    def ask(client: httpx2.Client, _: int) -> str:
        data = {"user_id": uuid.uuid4().hex}
        answers = [
            client.post("/v1/upload", data=data, files={"image": ("a.jpg", picture)}),
            client.get(f"/v1/images/{image_id}"),
            client.get(f"/{image_id}?w=20"),
        ]
        return " ".join(map(outcome, answers))

    load = Load(breakable, ask, key=key, clients=1, pause_seconds=0.15)
    before = api.get("/v1/images?limit=1").headers["x-ratelimit-reset"]
    with load.running():
        clock.set(jump)
        time.sleep(2 * SEEN_AFTER_SECONDS)
        moved = int(api.get("/v1/images?limit=1").headers["x-ratelimit-reset"]) - int(before)
        assert abs(moved) > 1800, "the clock did not move"
        clock.set("+0")
        time.sleep(2 * SEEN_AFTER_SECONDS)
    figure(f"the clock jumps by {jump} and back under load", dict(load.outcomes))
    # Processes see it within a second of each other: meanwhile their clocks differ by more than is allowed.
    words = {word for outcome in load.outcomes for word in outcome.split()}
    assert words <= {"200", "503"}
    assert {sample.outcome.split()[-1] for sample in load.samples} == {"200"}  # pictures
    assert load.samples[-1].outcome == "200 200 200"
    assert breakable.incomplete() == []
