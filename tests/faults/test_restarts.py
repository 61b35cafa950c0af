"""Rolling restarts lose no request, and restarts of Redis and PostgreSQL under load give no wrong answer."""

import signal
import time

import httpx2
import pytest

from tests.faults.broken import Breakable
from tests.faults.loads import Loads

ROUNDS = [1, pytest.param(20, marks=pytest.mark.faults)]
RESTARTS = [1, pytest.param(10, marks=pytest.mark.faults)]


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
