"""A disk of the cache that is full: nobody gets half a picture, and hits, misses and deletes go on."""

import itertools
import time
from collections.abc import Iterator

import httpx2
import pytest

from tests import pictures
from tests.e2e import calls
from tests.faults import disk
from tests.faults.broken import QUICK, Breakable
from tests.faults.figures import figure, figures
from tests.faults.load import Load, outcome
from tests.stack import discard, wait_for

MEGABYTE = 1024 * 1024
DISK = "24m"
SECONDS = [2, pytest.param(30, marks=pytest.mark.faults)]
RECOVERY_SECONDS = 15
SIDES = itertools.count(300)  # each makes a variant that nobody has asked for

ONE_OF_EACH = {"AUTH_PROCESSES": "1", "INGEST_PROCESSES": "1", "TRANSFORM_PROCESSES": "1"}


@pytest.fixture(scope="module")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Breakable]:
    """A stack whose cache is on a small disk of its own."""
    folder = tmp_path_factory.mktemp("disk") / "var"
    if not disk.can_mount(folder / "cache"):
        pytest.skip("mounting a tmpfs takes root")
    with disk.mounted(folder / "cache", DISK):
        running = Breakable(folder, {**QUICK, **ONE_OF_EACH, "CACHE_MIN_FREE": "8m"})
        yield running
        running.stop()
    discard(folder)


@pytest.fixture(scope="module")
def key(breakable: Breakable) -> str:
    return breakable.create_account("unlimited")


@pytest.fixture(scope="module")
def api(breakable: Breakable, key: str) -> Iterator[httpx2.Client]:
    with calls.client(breakable, key) as client:
        yield client


@pytest.fixture(scope="module")
def cdn(breakable: Breakable) -> Iterator[httpx2.Client]:
    with calls.client(breakable) as client:
        yield client


def whole(answer: httpx2.Response) -> str:
    """The status, where the body is as long as it says (httpx raises where it is not) and a whole JPEG."""
    if answer.status_code == 200:
        assert answer.content.endswith(b"\xff\xd9"), "cut"
        assert len(answer.content) == int(answer.headers["content-length"])
    return outcome(answer)


@pytest.mark.parametrize("seconds", SECONDS)
def test_a_full_disk_of_the_cache_is_noticed_by_nobody(
    breakable: Breakable, api: httpx2.Client, cdn: httpx2.Client, seconds: float
) -> None:
    """Misses are not cached meanwhile, and are again when the cache has made room for itself."""
    image_id = calls.upload(api, pictures.jpeg(1200, 900))["image_id"]
    gone = calls.upload(api, pictures.jpeg(60, 40))["image_id"]
    assert cdn.get(f"/{gone}?w=20").status_code == 200
    hit = cdn.get(f"/{image_id}?w=200").content

    def miss(client: httpx2.Client, _: int) -> str:
        return whole(client.get(f"/{image_id}?w=1000&h={next(SIDES)}"))

    def read(client: httpx2.Client, _: int) -> str:
        answer = client.get(f"/{image_id}?w=200")
        assert answer.content == hit
        return whole(answer)

    misses = Load(breakable, miss, clients=2, pause_seconds=0.01)
    hits = Load(breakable, read, clients=2, pause_seconds=0.01)
    cache = breakable.state.home / "cache"
    with misses.running(), hits.running(), disk.filled(cache):
        began = time.monotonic()
        assert api.delete(f"/v1/images/{gone}").status_code == 200
        assert cdn.get(f"/{gone}?w=20").status_code == 404
        time.sleep(seconds)
        assert "No space left on device" in (breakable.state.home / "log" / "nginx-error.log").read_text()
    figure(
        f"a full cache disk for {seconds} s", f"hits {dict(hits.outcomes)}, misses {dict(misses.outcomes)}"
    )
    figures("a miss while the cache's disk is full", misses.seconds)
    assert set(misses.outcomes) == set(hits.outcomes) == {"200"}

    def is_cached() -> bool:
        path = f"/{image_id}?w=900&h={next(SIDES)}"
        whole(cdn.get(path))
        return bool(cdn.get(path).headers["x-cache"] == "HIT")

    wait_for(is_cached, 60)
    figure("a miss is cached again after the disk filled up", f"{time.monotonic() - began:.1f} s")


@pytest.mark.faults
def test_the_cache_makes_room_for_itself_where_others_fill_its_disk(
    breakable: Breakable, api: httpx2.Client, cdn: httpx2.Client
) -> None:
    """It gives up old entries until `min_free` is free."""
    image_id = calls.upload(api, pictures.jpeg(1200, 900))["image_id"]
    cache = breakable.state.home / "cache"

    def is_cached() -> bool:
        path = f"/{image_id}?w=1100&h={next(SIDES)}"
        assert whole(cdn.get(path)) == "200"
        return bool(cdn.get(path).headers["x-cache"] == "HIT")

    wait_for(is_cached, 60)
    for _ in range(100):
        is_cached()
    with disk.filled(cache):
        began = time.monotonic()
        wait_for(is_cached, 60)
        seconds = time.monotonic() - began
    figure("others fill the cache's disk: a miss is cached again after", f"{seconds:.1f} s")
    assert seconds < RECOVERY_SECONDS
