"""Rolling restarts lose no request, and restarts of Redis and PostgreSQL under load give no wrong answer."""

import itertools
import signal
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack

import httpx2
import pytest

from tests.faults.broken import Breakable
from tests.faults.figures import figure
from tests.faults.load import Load, outcome

ROUNDS = [1, pytest.param(20, marks=pytest.mark.faults)]
RESTARTS = [1, pytest.param(10, marks=pytest.mark.faults)]
SIDES = itertools.count(1)  # each makes a variant that nobody has asked for


class Loads:
    """Every kind of request at once, each by clients of its own."""

    def __init__(self, stack: Breakable, key: str, picture: bytes, image_id: str) -> None:
        self._picture = picture
        self._image_id = image_id
        self.made: list[str] = []
        asks = {"upload": self._upload, "list": self._list, "hit": self._hit, "miss": self._miss}
        self.by_name = {
            name: Load(stack, ask, key=key, clients=2, pause_seconds=0.01) for name, ask in asks.items()
        }

    def run_while(self, work: Callable[[], None]) -> None:
        with ExitStack() as running:
            for load in self.by_name.values():
                running.enter_context(load.running())
            work()

    def figure(self, claim: str) -> None:
        outcomes = {name: dict(load.outcomes) for name, load in self.by_name.items()}
        figure(claim, "; ".join(f"{name} {found}" for name, found in outcomes.items()))

    def all_outcomes(self) -> set[str]:
        return {outcome for load in self.by_name.values() for outcome in load.outcomes}

    def _upload(self, client: httpx2.Client, _: int) -> str:
        files = {"image": ("a.jpg", self._picture)}
        user_id = uuid.uuid4().hex
        answer = client.post("/v1/upload", data={"user_id": user_id}, files=files)
        if answer.status_code == 200:
            assert answer.json()["user_id"] == user_id
            self.made.append(answer.json()["image_id"])
        return outcome(answer)

    def _list(self, client: httpx2.Client, _: int) -> str:
        answer = client.get("/v1/images?limit=1")
        if answer.status_code == 200:
            assert len(answer.json()["images"]) == 1
        return outcome(answer)

    def _hit(self, client: httpx2.Client, _: int) -> str:
        return outcome(client.get(f"/{self._image_id}?w=21"))

    def _miss(self, client: httpx2.Client, _: int) -> str:
        side = next(SIDES)
        return outcome(client.get(f"/{self._image_id}?w={side % 100 + 1}&h={side // 100 + 1}"))


@pytest.fixture
def loads(breakable: Breakable, key: str, picture: bytes, image_id: str) -> Loads:
    return Loads(breakable, key, picture, image_id)


def assert_nothing_is_lost(stack: Breakable, loads: Loads, cdn: httpx2.Client) -> None:
    assert stack.incomplete() == []
    ready = {row["image_id"] for row in stack.sql("SELECT image_id FROM images WHERE status = 'ready'")}
    assert set(loads.made) <= ready
    for image_id in loads.made[-20:]:
        assert cdn.get(f"/{image_id}").status_code == 200


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("service", ["auth", "ingest", "transform"])
def test_a_rolling_restart_loses_no_request(
    breakable: Breakable, loads: Loads, cdn: httpx2.Client, service: str, rounds: int
) -> None:
    def restart() -> None:
        for _ in range(rounds):
            for name in breakable.names(service):
                breakable.terminate_and_wait(name, signal.SIGTERM)

    loads.run_while(restart)
    loads.figure(f"{rounds} rolling restarts of {service}")
    assert breakable.defects(service) == []
    assert loads.all_outcomes() == {"200"}
    assert_nothing_is_lost(breakable, loads, cdn)


@pytest.mark.parametrize("restarts", RESTARTS)
@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=pytest.mark.faults), signal.SIGKILL])
def test_redis_restarted_under_load_is_noticed_by_nobody(
    breakable: Breakable, loads: Loads, cdn: httpx2.Client, number: signal.Signals, restarts: int
) -> None:
    def restart() -> None:
        for _ in range(restarts):
            breakable.signal("redis", number)
            time.sleep(1)

    loads.run_while(restart)
    loads.figure(f"Redis restarted {restarts} times by {number.name}")
    assert loads.all_outcomes() == {"200"}
    assert_nothing_is_lost(breakable, loads, cdn)


@pytest.mark.parametrize("restarts", RESTARTS)
@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.faults), signal.SIGKILL])
def test_postgres_restarted_under_load_gives_no_wrong_answer(
    breakable: Breakable, loads: Loads, cdn: httpx2.Client, number: signal.Signals, restarts: int
) -> None:
    def restart() -> None:
        for _ in range(restarts):
            breakable.signal("postgres", number)
            time.sleep(2)
        breakable.wait_until_whole()

    loads.run_while(restart)
    loads.figure(f"PostgreSQL restarted {restarts} times by {number.name}")
    assert loads.all_outcomes() <= {"200", "503"}
    for name in ("hit", "miss"):
        assert set(loads.by_name[name].outcomes) == {"200"}
    assert_nothing_is_lost(breakable, loads, cdn)
