"""The walls between accounts in time: another's id takes as long as one that does not exist."""

import statistics
import time
from collections.abc import Callable
from typing import Final

import httpx2
import pytest

from tests import pictures
from tests.e2e import calls
from tests.faults.broken import Breakable
from tests.faults.figures import figure

ROUNDS: Final = 1500
NOISE_SECONDS: Final = (
    0.0005  # far more than a lookup in an index, far less than anything a stranger could use
)

CALLS: Final[dict[str, Callable[[httpx2.Client, str], httpx2.Response]]] = {
    "GET": lambda client, image_id: client.get(f"/v1/images/{image_id}"),
    "DELETE": lambda client, image_id: client.delete(f"/v1/images/{image_id}"),
}


@pytest.mark.faults
@pytest.mark.parametrize("name", CALLS)
def test_anothers_picture_takes_as_long_as_none(breakable: Breakable, api: httpx2.Client, name: str) -> None:
    theirs = str(calls.upload(api, pictures.jpeg())["image_id"])
    seconds: dict[str, list[float]] = {theirs: [], calls.NOWHERE: []}
    with calls.client(breakable, breakable.create_account("unlimited")) as intruder:
        for turn in range(ROUNDS):
            for image_id in sorted(seconds, reverse=turn % 2 == 0):
                began = time.perf_counter()
                answer = CALLS[name](intruder, image_id)
                seconds[image_id].append(time.perf_counter() - began)
                assert answer.status_code == 404
    known, unknown = (statistics.median(seconds[image_id]) for image_id in (theirs, calls.NOWHERE))
    spread = statistics.quantiles(seconds[calls.NOWHERE], n=4)
    figure(
        f"{name} of another account's id, against one that does not exist",
        f"median {known * 1e6:.0f} us against {unknown * 1e6:.0f} us, of {ROUNDS} each;"
        f" half of the latter are within {(spread[2] - spread[0]) * 1e6:.0f} us",
    )
    assert abs(known - unknown) < NOISE_SECONDS
    assert api.get(f"/v1/images/{theirs}").status_code == 200
