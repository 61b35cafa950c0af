"""The walls between accounts in time: what is another's, or was once, takes as long as what never existed."""

import statistics
import time
from collections.abc import Callable
from typing import Final

import httpx2
import pytest

from services.auth.keys import new_key
from services.auth.sessions import COOKIE
from tests import pictures
from tests.e2e import calls
from tests.e2e.dashboard import Browser
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


@pytest.mark.faults
def test_a_refusal_takes_as_long_whatever_is_wrong_with_the_key(breakable: Breakable) -> None:
    """Noise is refused before the database is asked; all else by one look into the same index."""
    key = breakable.create_account("unlimited")
    with calls.client(breakable, key) as api:
        made = api.post("/v1/keys", json={"name": "revoked"}).json()
        with Browser(breakable, made["api_key"]) as browser:
            api.delete(f"/v1/keys/{made['key']['id']}")
            ended = browser.token
    headers = {
        "unknown key": {"Authorization": f"Bearer {new_key()}"},
        "revoked key": {"Authorization": f"Bearer {made['api_key']}"},
        "key with a letter changed": {"Authorization": f"Bearer {key[:-1]}~"},
        "unknown session": {"Cookie": f"{COOKIE}=us_{'A' * 43}"},
        "session of a revoked key": {"Cookie": f"{COOKIE}={ended}"},
    }
    seconds: dict[str, list[float]] = {name: [] for name in headers}
    with calls.client(breakable) as intruder:
        for turn in range(ROUNDS):
            for name in sorted(seconds, reverse=turn % 2 == 0):
                began = time.perf_counter()
                answer = intruder.get("/v1/account", headers=headers[name])
                seconds[name].append(time.perf_counter() - began)
                assert answer.status_code == 401
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    for name, found in medians.items():
        apart = (found - medians["unknown key"]) * 1e6
        figure(f"a refusal of: {name}", f"median {found * 1e6:.0f} us, {apart:+.0f} us, of {ROUNDS}")
