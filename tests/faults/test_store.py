"""S3 that is slow, cuts, hangs, refuses, or says what is not so: nothing false is served or cached."""

import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from libs.pictures import LADDER
from tests import pictures
from tests.e2e import calls
from tests.faults.broken import QUICK, Breakable
from tests.faults.figures import figure, figures
from tests.faults.load import outcome
from tests.faults.proxy import Fault, Proxy, tcp_address
from tests.libs.buckets import new_bucket, running_s3
from tests.stack import discard, wait_for

COUNTS = [1, pytest.param(25, marks=pytest.mark.faults)]
ANSWER_SECONDS = 5  # an upload's 503
ONE_OF_EACH = {"AUTH_PROCESSES": "1", "INGEST_PROCESSES": "1", "TRANSFORM_PROCESSES": "2"}
# No master stays in memory, so that every variant is fetched.
FORGETFUL = {"MASTERS_SECONDS": "0.001", "RECENT_SECONDS": "0.001"}
SIDES = itertools.count(1)  # each makes a variant that nobody has asked for


def said(status: str, code: str) -> bytes:
    """An error of S3."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>"
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/xml", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "Connection: close", "", body]).encode()


def without_length(body: bytes) -> bytes:
    """An answer that only its end delimits, and that ends too early."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nConnection: close\r\n\r\n" + body


SAYS = {
    "500": said("500 Internal Server Error", "InternalError"),
    "503 SlowDown": said("503 Slow Down", "SlowDown"),
    "403": said("403 Forbidden", "AccessDenied"),
    "no such bucket": said("404 Not Found", "NoSuchBucket"),
    "no length": without_length(b"\xff\xd8 half of a picture"),
    "nonsense": b"SSH-2.0-nothing\r\n",
}
FAULTS = {
    **{name: Fault(answer=answer) for name, answer in SAYS.items()},
    "hangs": Fault(hang=True),
    "refuses": Fault(refuse=True),
    "cuts its head": Fault(cut_after=20),
    "cuts its body": Fault(cut_after=1500),
}
# A PUT is believed by the head of its answer.
OF_UPLOADS = sorted(FAULTS.keys() - {"no length", "cuts its body"})


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_s3(tmp_path_factory.mktemp("s3") / "log") as url:
        yield url


@pytest.fixture(scope="module")
def proxy(s3: str) -> Iterator[Proxy]:
    running = Proxy(tcp_address(s3))
    yield running
    running.close()


@pytest.fixture(scope="module")
def breakable(s3: str, proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Breakable]:
    """A stack on a bucket, whose server is behind the proxy."""
    folder: Path = tmp_path_factory.mktemp("store") / "var"
    bucket = {
        "OBJECTS_URL": new_bucket(s3).objects_url,
        "S3_ENDPOINT_URL": proxy.url,
        "S3_ACCESS_KEY_ID": "test",
        "S3_SECRET_ACCESS_KEY": "test",
    }
    running = Breakable(folder, {**QUICK, **ONE_OF_EACH, **FORGETFUL, **bucket})
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


@pytest.fixture(scope="module")
def picture() -> bytes:
    """Its `full` and all of its masters are larger than what "cuts its body" lets through."""
    return pictures.jpeg(1000, 700)


@pytest.fixture(scope="module")
def image_id(api: httpx2.Client, picture: bytes) -> str:
    made: str = calls.upload(api, picture)["image_id"]
    return made


def upload(api: httpx2.Client, picture: bytes) -> httpx2.Response:
    return api.post("/v1/upload", data={"user_id": "store"}, files={"image": ("a.jpg", picture)})


def variants() -> Iterator[str]:
    """One from each master."""
    number = next(SIDES)
    for rung in LADDER:
        yield f"w={rung.side // 2 + number}&q={number % 50 + 1}"


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_false_is_served_or_cached(
    breakable: Breakable,
    api: httpx2.Client,
    cdn: httpx2.Client,
    proxy: Proxy,
    image_id: str,
    picture: bytes,
    fault: str,
    count: int,
) -> None:
    hit = cdn.get(f"/{image_id}?w=33")
    assert hit.status_code == 200
    seconds, asked = [], []

    def ask(path: str) -> None:
        began = time.monotonic()
        assert outcome(cdn.get(path)) == "503", path
        seconds.append(time.monotonic() - began)

    for _ in range(count):
        paths = [
            f"/{calls.upload(api, picture)['image_id']}",
            *(f"/{image_id}?{query}" for query in variants()),
        ]
        with proxy.faulty(FAULTS[fault]), ThreadPoolExecutor() as clients:
            list(clients.map(ask, paths))
            again = cdn.get(f"/{image_id}?w=33")
            assert (again.content, again.headers["x-cache"]) == (hit.content, "HIT")
        asked += paths
    for path in asked:
        answer = cdn.get(path)
        assert (answer.status_code, answer.headers["x-cache"]) == (200, "MISS")
        assert cdn.get(path).content == answer.content
    figures(f"S3 {fault}: a cold picture's 503", seconds)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("fault", OF_UPLOADS)
def test_an_upload_is_refused_within_five_seconds_and_leaves_no_record(
    breakable: Breakable, api: httpx2.Client, proxy: Proxy, picture: bytes, fault: str, count: int
) -> None:
    before = len(breakable.sql("SELECT FROM images WHERE status = 'ready'"))
    failures = calls.metric(breakable, "ingest", "objects_failures_total")
    seconds = []
    for _ in range(min(count, 10)):
        with proxy.faulty(FAULTS[fault]):
            began = time.monotonic()
            assert outcome(upload(api, picture)) == "503"
            seconds.append(time.monotonic() - began)
    assert calls.metric(breakable, "ingest", "objects_failures_total") > failures
    assert upload(api, picture).status_code == 200
    wait_for(lambda: not breakable.sql("SELECT FROM images WHERE status = 'pending'"), 60)
    assert len(breakable.sql("SELECT FROM images WHERE status = 'ready'")) == before + 1
    figures(f"S3 {fault}: an upload's 503", seconds)


@pytest.mark.faults
@pytest.mark.parametrize("fault", OF_UPLOADS)
def test_an_upload_is_refused_in_time(api: httpx2.Client, proxy: Proxy, picture: bytes, fault: str) -> None:
    with proxy.faulty(FAULTS[fault]):
        began = time.monotonic()
        assert outcome(upload(api, picture)) == "503"
        assert time.monotonic() - began < ANSWER_SECONDS


@pytest.mark.parametrize("count", COUNTS)
def test_a_404_of_an_object_that_exists_is_not_cached(
    api: httpx2.Client, cdn: httpx2.Client, proxy: Proxy, picture: bytes, count: int
) -> None:
    for _ in range(count):
        path = f"/{calls.upload(api, picture)['image_id']}"
        with proxy.faulty(Fault(answer=said("404 Not Found", "NoSuchKey"))):
            for query in ("", "?w=50"):
                assert calls.refusal(cdn.get(path + query)) == (404, "IMAGE_NOT_FOUND")
        for query in ("", "?w=50"):
            answer = cdn.get(path + query)
            assert (answer.status_code, answer.headers["x-cache"]) == (200, "MISS")
    figure("S3 says 404 of what exists", f"{2 * count} times, not once cached")


@pytest.mark.parametrize("count", COUNTS)
def test_a_slow_store_is_slow_and_right(
    api: httpx2.Client, cdn: httpx2.Client, proxy: Proxy, picture: bytes, image_id: str, count: int
) -> None:
    seconds = []
    with proxy.faulty(Fault(delay_seconds=0.2)):
        for _ in range(count):
            fresh = str(calls.upload(api, picture)["image_id"])
            began = time.monotonic()
            answer = cdn.get(f"/{fresh}")
            seconds.append(time.monotonic() - began)
            assert (answer.status_code, len(answer.content)) == (200, int(answer.headers["content-length"]))
            assert cdn.get(f"/{image_id}?w={next(SIDES)}&h=3").status_code == 200
    figures("S3 takes 200 ms to every piece: a cold picture", seconds)
