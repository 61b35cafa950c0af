"""Many connections that do next to nothing must not cost a healthy client anything."""

import time
import uuid

import httpx2
import pytest

from tests import pictures
from tests.e2e import calls
from tests.faults.broken import Breakable
from tests.faults.figures import figure, figures
from tests.faults.load import Load, outcome
from tests.faults.slow import DRIPS, SlowClients

SIZES = [(100, 2.0), pytest.param((1000, 40.0), marks=pytest.mark.faults)]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]} clients")
@pytest.mark.parametrize("kind", DRIPS)
def test_slow_clients_cost_a_healthy_one_nothing(
    breakable: Breakable, api: httpx2.Client, key: str, picture: bytes, kind: str, size: tuple[int, float]
) -> None:
    count, seconds = size
    large = calls.upload(api, pictures.png(1500, 1200))["image_id"]
    assert api.get(f"/{large}").status_code == 200

    def healthy(client: httpx2.Client, number: int) -> str:
        user = {"user_id": uuid.uuid4().hex}
        answers = [
            client.post("/v1/upload", data=user, files={"image": ("a.jpg", picture)}),
            client.get("/v1/images?limit=1"),
            client.get(f"/{large}?w=40"),
        ]
        return " ".join(map(outcome, answers))

    alone = Load(breakable, healthy, key=key, clients=1).run_for(seconds / 4)
    slow = SlowClients(breakable.port, DRIPS[kind], count, key, f"/{large}")
    beside = Load(breakable, healthy, key=key, clients=1)
    with slow.running():
        beside.run_for(seconds)
        still_open = slow.open
    # Nobody is left waiting for the slow ones.
    time.sleep(0.1)
    assert api.get("/v1/images?limit=1").status_code == 200
    figure(f"{count} slow clients ({kind}), {still_open} open after {seconds:.0f} s", dict(beside.outcomes))
    figures(f"an upload, a list and a hit without slow clients ({kind})", alone.seconds)
    figures(f"an upload, a list and a hit beside {count} slow clients ({kind})", beside.seconds)
    assert set(beside.outcomes) == {"200 200 200"}
