"""Alerts fired by their faults: a real Prometheus watches a real stack, and a minute takes two seconds."""

import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx2
import psutil
import pytest

from libs.identity import HEADER, REQUEST_ID_HEADER
from tests import pictures
from tests.e2e import calls
from tests.e2e.inside import forged, ingest, signer
from tests.faults.broken import Breakable
from tests.observability.load import under_load
from tests.observability.nodes import HangingNode
from tests.observability.prometheus import Prometheus
from tests.stack import wait_for

FIRED_SECONDS = 60
QUIET_SECONDS = 180
SLOW_SECONDS = 150  # those that wait for half an hour
FROZEN_SECONDS = 12

SIDES = itertools.count(1000)


@pytest.fixture(autouse=True)
def load(stack: Breakable, prometheus: Prometheus) -> Iterator[None]:
    """A little of everything goes on meanwhile; before and afterwards no alert fires."""
    wait_until_quiet(prometheus)
    with under_load(stack):
        yield
    stack.wait_until_whole()
    wait_until_quiet(prometheus)


def wait_until_quiet(prometheus: Prometheus) -> None:
    wait_for(lambda: not prometheus.alerts(), QUIET_SECONDS)


def wait_until_fired(prometheus: Prometheus, *expected: str, seconds: float = FIRED_SECONDS) -> None:
    """Until each has been seen to fire, be it for a moment."""
    missing = set(expected)
    deadline = time.monotonic() + seconds
    while missing := missing - prometheus.alerts():
        assert time.monotonic() < deadline, f"{missing} do not fire"
        time.sleep(0.2)


@contextmanager
def again_and_again(*works: Callable[[], object]) -> Iterator[None]:
    """Each on a thread of its own; what fails is tried again."""
    stopped = threading.Event()

    def repeat(work: Callable[[], object]) -> None:
        while not stopped.is_set():
            with suppress(httpx2.TransportError, psutil.NoSuchProcess):
                work()

    threads = [threading.Thread(target=repeat, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


@contextmanager
def moved(path: Path) -> Iterator[None]:
    """It has another name for as long as the block runs."""
    aside = path.with_name(f"{path.name}.aside")
    path.rename(aside)
    try:
        yield
    finally:
        aside.rename(path)


@pytest.mark.faults
def test_a_dependency_that_is_away(stack: Breakable, prometheus: Prometheus) -> None:
    with stack.down("redis"):
        wait_until_fired(prometheus, "RedisAway")
    with moved(stack.objects / "incoming"):  # as a mount point without its disk
        wait_until_fired(prometheus, "ObjectsAway", "ObjectFailures", "ErrorsAtTheEdge")
    with stack.down("postgres"):
        wait_until_fired(prometheus, "PostgresAway", "KeysUnchecked", "JanitorStopped")


@pytest.mark.faults
def test_a_process_that_is_away(stack: Breakable, prometheus: Prometheus) -> None:
    stack.supervisor.stop("ingest-1")
    wait_until_fired(prometheus, "InstanceDown")
    stack.supervisor.start("ingest-1")
    with stack.down("transform"):
        wait_until_fired(prometheus, "ServiceAbsent")
    for _ in range(5):
        stack.terminate_and_wait("auth-1", signal.SIGKILL)
        time.sleep(1.2)  # seen by Prometheus in between
    wait_until_fired(prometheus, "ProcessRestarts")
    with moved(stack.state.log("nginx-access")):
        wait_until_fired(prometheus, "AccessLogUncounted")


@pytest.mark.faults
def test_more_than_can_be_done(stack: Breakable, prometheus: Prometheus, key: str) -> None:
    large = pictures.jpeg(3000, 2000)
    with calls.client(stack, key) as api:
        image_id = calls.upload(api, large)["image_id"]

        def upload() -> None:
            api.post("/v1/upload", data={"user_id": "eve"}, files={"image": large})

        def render() -> None:
            api.get(f"/{image_id}?w={next(SIDES)}&f=webp")

        with again_and_again(*[upload] * 8, *[render] * 8):
            wait_until_fired(prometheus, "UploadsRefused", "RendersRefused", "RenderQueueLong")


@pytest.mark.faults
def test_a_box_that_is_killed(stack: Breakable, prometheus: Prometheus, key: str) -> None:
    large = pictures.jpeg(3000, 2000)

    def kill() -> None:
        for pid in stack.pids("ingest"):
            for box in psutil.Process(pid).children():
                box.kill()
        time.sleep(0.3)

    with calls.client(stack, key) as api:

        def upload() -> None:
            api.post("/v1/upload", data={"user_id": "eve"}, files={"image": large})

        with again_and_again(upload, upload, kill):
            wait_until_fired(prometheus, "BoxKills")


@pytest.mark.faults
def test_a_delete_that_a_node_does_not_hear_of(
    stack: Breakable, prometheus: Prometheus, node: HangingNode
) -> None:
    with node.hangs():
        wait_until_fired(prometheus, "NodesHang", "DeletesPending")


@pytest.mark.faults
def test_an_upload_that_does_not_end(stack: Breakable, prometheus: Prometheus) -> None:
    stack.sql(
        "INSERT INTO images (image_id, account_id, user_id, file_size, created_at)"
        " VALUES ($1, 'a', 'u', 1, now() - interval '200 seconds')",
        calls.NOWHERE,
    )
    wait_until_fired(prometheus, "UploadsLeftBehind")
    stack.sql("DELETE FROM images WHERE image_id = $1", calls.NOWHERE)


@pytest.mark.faults
def test_a_defect(stack: Breakable, prometheus: Prometheus) -> None:
    stack.sql("ALTER TABLE images RENAME COLUMN width TO lost")
    try:
        wait_until_fired(prometheus, "Defects")
    finally:
        stack.sql("ALTER TABLE images RENAME COLUMN lost TO width")


@pytest.mark.faults
def test_more_than_a_process_can_render(stack: Breakable, prometheus: Prometheus, key: str) -> None:
    with calls.client(stack, key) as api:
        image_id = calls.upload(api, pictures.jpeg(6000, 4000))["image_id"]

        def render() -> None:
            number = next(SIDES)
            answer = api.get(f"/{image_id}?w={3500 + number % 500}&h={2600 - number // 500}&f=webp")
            if answer.status_code == 503:  # the queue is full
                time.sleep(0.2)

        stack.supervisor.stop("transform-1")  # so that the other one has a core for itself
        try:
            with again_and_again(*[render] * 6):
                wait_until_fired(prometheus, "PicturesSlow", "ProcessBusy", seconds=SLOW_SECONDS)
        finally:
            stack.supervisor.start("transform-1")


@pytest.mark.faults
def test_uploads_that_take_long(stack: Breakable, prometheus: Prometheus, key: str) -> None:
    def freeze(pid: int) -> None:
        boxes = psutil.Process(pid).children(recursive=True)
        for box in boxes:
            box.suspend()
        time.sleep(FROZEN_SECONDS)
        for box in boxes:
            box.resume()
        time.sleep(1)

    with calls.client(stack, key) as api:

        def upload() -> None:
            api.post("/v1/upload", data={"user_id": "eve"}, files={"image": pictures.jpeg()})
            time.sleep(0.5)  # or the quick ones would be more than 99 of 100

        first, second = (partial(freeze, pid) for pid in stack.pids("ingest"))
        with again_and_again(upload, upload, upload, upload, first):
            time.sleep(FROZEN_SECONDS / 2)  # so that a slow upload ends every few seconds
            with again_and_again(second):
                wait_until_fired(prometheus, "UploadsSlow", seconds=SLOW_SECONDS)


@pytest.mark.faults
def test_sizes_that_nobody_has_asked_for(stack: Breakable, prometheus: Prometheus, key: str) -> None:
    with calls.client(stack, key) as api:
        image_id = calls.upload(api, pictures.jpeg(3000, 2000))["image_id"]

        def miss() -> None:
            number = next(SIDES)
            api.get(f"/{image_id}?w={number % 250 + 1}&h={number // 250 + 1}")

        with again_and_again(miss):
            wait_until_fired(prometheus, "HitRatioLow", seconds=SLOW_SECONDS)


@pytest.mark.faults
def test_a_clock_that_is_wrong(stack: Breakable, prometheus: Prometheus) -> None:
    late = signer(stack)
    late._signer.get_timestamp = lambda: int(time.time()) - 3600  # type: ignore[method-assign]
    headers = {HEADER: late.sign(forged("GET", "/v1/images", "r")), REQUEST_ID_HEADER: "r"}
    with ingest(stack) as inside:

        def ask() -> None:
            assert inside.get("/v1/images", headers=headers).status_code == 503
            time.sleep(0.2)

        with again_and_again(ask):
            wait_until_fired(prometheus, "ClocksDiffer")


@pytest.mark.faults
def test_an_account_that_is_closed_while_ingest_is_away(stack: Breakable, prometheus: Prometheus) -> None:
    with calls.client(stack, stack.create_account("free")) as api:
        account_id = api.get("/v1/account").json()["account"]["id"]
    with stack.down("ingest"):
        stack.admin("delete-account", "--account", account_id)
        wait_until_fired(prometheus, "AccountsPending", seconds=SLOW_SECONDS)
