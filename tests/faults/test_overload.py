"""More than can be done: what is accepted is finished, and the excess gets its 503 at once."""

import itertools
import uuid
from collections.abc import Iterator

import httpx2
import pytest

from tests import pictures
from tests.e2e import calls
from tests.faults import siege
from tests.faults.broken import QUICK, Breakable, stopped
from tests.faults.figures import figure, figures
from tests.faults.load import Load, outcome
from tests.stack import discard

SECONDS = [1.5, pytest.param(30.0, marks=pytest.mark.faults)]
SIDES = itertools.count(1)  # each makes a variant that nobody has asked for
# Queues that are soon full, on one process of each service.
SMALL = {
    **QUICK,
    **{f"{service}_PROCESSES": "1" for service in ("AUTH", "INGEST", "TRANSFORM")},
    "BOX_QUEUE": "3",
    "UPLOAD_SECONDS": "10",
    "RENDER_THREADS": "1",
    "RENDER_QUEUE": "2",
}


@pytest.fixture(scope="module")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Breakable]:
    folder = tmp_path_factory.mktemp("overload") / "var"
    running = Breakable(folder, SMALL)
    yield running
    running.stop()
    discard(folder)


@pytest.fixture(scope="module")
def keys(breakable: Breakable) -> list[str]:
    """Of three accounts: no one of them may have all places."""
    return [breakable.create_account("unlimited") for _ in range(3)]


def overload(heavy: list[Load], light: Load, seconds: float) -> None:
    """`light` is measured while the `heavy` ones ask for more than there is room for."""
    with heavy[0].running(), heavy[-1].running():
        light.run_for(seconds)


def refused_seconds(load: Load) -> list[float]:
    return [sample.seconds for sample in load.samples if sample.outcome == "503"]


@pytest.mark.parametrize("seconds", SECONDS)
def test_uploads_beyond_the_queue_are_refused_at_once_and_the_accepted_are_finished(
    breakable: Breakable, keys: list[str], seconds: float
) -> None:
    large, small = pictures.jpeg(3000, 2000), pictures.jpeg(60, 40)
    made: set[str] = set()

    def upload(client: httpx2.Client, picture: bytes) -> str:
        data = {"user_id": uuid.uuid4().hex}
        answer = client.post("/v1/upload", data=data, files={"image": ("a.jpg", picture)})
        if answer.status_code == 200:
            made.add(answer.json()["image_id"])
        return outcome(answer)

    # Each has more under way than its share.
    heavy = [
        Load(breakable, lambda client, _: upload(client, large), key=key, clients=4, pause_seconds=0.05)
        for key in keys[:2]
    ]
    light = Load(
        breakable, lambda client, _: upload(client, small), key=keys[2], clients=1, pause_seconds=0.05
    )
    refusals = calls.metric(breakable, "ingest", "upload_refusals_total")
    overload(heavy, light, seconds)
    found = heavy[0].outcomes + heavy[1].outcomes + light.outcomes
    figure("uploads where twice as many come as there are places", dict(found))
    figures("the 503 of an upload too many", refused_seconds(light) or refused_seconds(heavy[0]))
    assert set(found) == {"200", "503"}
    # The rest of them: a box that ran out of time, where the machine has more to do than this.
    assert 0 < calls.metric(breakable, "ingest", "upload_refusals_total") - refusals <= found["503"]
    ready = {row["image_id"] for row in breakable.sql("SELECT image_id FROM images WHERE status = 'ready'")}
    assert made <= ready
    assert breakable.incomplete() == []


@pytest.mark.parametrize("seconds", SECONDS)
def test_renders_beyond_the_queue_are_refused_at_once(
    breakable: Breakable, keys: list[str], seconds: float
) -> None:
    with calls.client(breakable, keys[0]) as api:
        image_id = calls.upload(api, pictures.jpeg(3000, 2000))["image_id"]
        assert api.get(f"/{image_id}?w=20").status_code == 200

    def miss(client: httpx2.Client, _: int) -> str:
        return outcome(client.get(f"/{image_id}?w=1200&h={next(SIDES) % 4000 + 1}"))

    def hit(client: httpx2.Client, _: int) -> str:
        return outcome(client.get(f"/{image_id}?w=20"))

    heavy = [
        Load(breakable, miss, clients=6, pause_seconds=0.02),
        Load(breakable, hit, clients=1, pause_seconds=0.02),
    ]
    light = Load(breakable, miss, clients=1, pause_seconds=0.05)
    overload(heavy, light, seconds)
    figure("misses where twice as many come as there is room for", dict(heavy[0].outcomes + light.outcomes))
    figures("the 503 of a render too many", refused_seconds(light) or refused_seconds(heavy[0]))
    figures("a hit meanwhile", heavy[1].seconds)
    assert set(heavy[0].outcomes) == {"200", "503"}
    assert set(heavy[1].outcomes) == {"200"}


def test_an_upload_whose_box_hangs_is_given_up_and_told_to_come_again(
    breakable: Breakable, keys: list[str]
) -> None:
    late = calls.metric(breakable, "ingest", "uploads_late_total")
    with calls.client(breakable, keys[2]) as client:
        with stopped(siege.workers(breakable)):
            assert outcome(siege.send(client, pictures.jpeg())) == "503"
        assert calls.metric(breakable, "ingest", "uploads_late_total") == late + 1
        assert outcome(siege.send(client, pictures.jpeg())) == "200"
