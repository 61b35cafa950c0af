"""Redis, PostgreSQL and each service down or hung: what users see (design section 7)."""

import contextlib
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager

import httpx2
import pytest

from services.auth import keys
from tests.e2e import calls
from tests.faults.broken import Breakable
from tests.faults.figures import figure, figures, share
from tests.faults.load import Load, outcome
from tests.faults.proxy import Fault, in_front_of

FAULTS = ("down", "hung")
COUNTS = [10, pytest.param(500, marks=pytest.mark.faults)]
UPLOADS = [2, pytest.param(20, marks=pytest.mark.faults)]


def break_it(stack: Breakable, program: str, fault: str) -> AbstractContextManager[None]:
    return stack.down(program) if fault == "down" else stack.hung(program)


class Timer:
    """Seconds of each block."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    @contextlib.contextmanager
    def once(self) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds.append(time.monotonic() - began)


def is_known(api: httpx2.Client) -> bool:
    """Whether the key is accepted: ingest finds the form wrong before it needs anything else."""
    answer = api.post("/v1/upload", content=b"", headers={"Content-Type": "text/plain"})
    return calls.refusal(answer) == (400, "INVALID_REQUEST")


def upload(api: httpx2.Client, picture: bytes) -> httpx2.Response:
    return api.post("/v1/upload", data={"user_id": "fault"}, files={"image": ("a.jpg", picture)})


def degraded(stack: Breakable) -> float:
    return calls.metric(stack, "auth", "limiter_degraded_total")


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("fault", FAULTS)
def test_without_redis_valid_keys_are_served(
    breakable: Breakable, api: httpx2.Client, fault: str, count: int
) -> None:
    before, usual, broken = degraded(breakable), Timer(), Timer()
    assert is_known(api)
    for _ in range(count):
        with usual.once():
            assert api.get("/v1/images?limit=1").status_code == 200
    with break_it(breakable, "redis", fault):
        for _ in range(count):
            with broken.once():
                assert api.get("/v1/images?limit=1").status_code == 200
        with calls.client(breakable, keys.new_key()) as unknown:
            assert calls.refusal(unknown.get("/v1/images")) == (401, "INVALID_API_KEY")
        assert degraded(breakable) - before >= count
    median = share(usual.seconds, 0.5)
    figures(f"Redis {fault}: what a request takes longer", [seconds - median for seconds in broken.seconds])


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("fault", FAULTS)
def test_without_postgres_keys_seen_lately_are_valid_and_nobody_is_told_wrong(
    breakable: Breakable, api: httpx2.Client, fault: str, count: int
) -> None:
    known, unknown = Timer(), Timer()
    for _ in range(8):
        assert is_known(api)  # to both processes of auth
    with break_it(breakable, "postgres", fault):
        for _ in range(count):
            with known.once():
                assert is_known(api)
        for _ in range(max(2, count // 50)):
            with unknown.once(), calls.client(breakable, keys.new_key()) as stranger:
                assert outcome(stranger.get("/v1/images")) == "503"
        with calls.client(breakable, "nonsense") as stranger:
            assert calls.refusal(stranger.get("/v1/images")) == (401, "INVALID_API_KEY")
    figures(f"PostgreSQL {fault}: a key seen lately", known.seconds)
    figures(f"PostgreSQL {fault}: an unknown key's 503", unknown.seconds)


@pytest.mark.parametrize("count", UPLOADS)
@pytest.mark.parametrize("fault", FAULTS)
def test_without_postgres_uploads_are_refused_and_pictures_are_served(
    breakable: Breakable,
    api: httpx2.Client,
    cdn: httpx2.Client,
    picture: bytes,
    image_id: str,
    fault: str,
    count: int,
) -> None:
    uploads, reads = Timer(), Timer()
    assert is_known(api)
    cached = cdn.get(f"/{image_id}?w=50")
    with break_it(breakable, "postgres", fault):
        for number in range(count):
            with uploads.once():
                assert outcome(upload(api, picture)) == "503"
            with reads.once():
                assert outcome(api.get(f"/v1/images/{image_id}")) == "503"
            assert cdn.get(f"/{image_id}?w=50").content == cached.content
            cold = cdn.get(f"/{image_id}?w={number + 100}&q={len(fault)}")
            assert (cold.status_code, cold.headers["x-cache"]) == (200, "MISS")
    assert upload(api, picture).status_code == 200
    figures(f"PostgreSQL {fault}: an upload's 503", uploads.seconds)
    figures(f"PostgreSQL {fault}: the 503 of GET /v1/images/…", reads.seconds)


def test_a_request_whose_statement_was_cut_off_is_a_503(
    breakable: Breakable, api: httpx2.Client, image_id: str
) -> None:
    """PostgreSQL's connections end in the middle of an answer."""
    path = breakable.state.postgres_sockets / ".s.PGSQL.5432"
    with in_front_of(path) as proxy:
        breakable.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        assert outcome(api.get(f"/v1/images/{image_id}")) in ("200", "503")  # of a connection that was cut
        assert outcome(api.get(f"/v1/images/{image_id}")) == "200"
        with proxy.faulty(Fault(cut_after=20, concerns=lambda piece: b"SELECT" in piece)):
            assert outcome(api.get(f"/v1/images/{image_id}")) == "503"
        with proxy.faulty(Fault(refuse=True)):
            assert outcome(api.get(f"/v1/images/{image_id}")) == "503"
        assert outcome(api.get(f"/v1/images/{image_id}")) == "200"
    breakable.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")


@pytest.mark.parametrize("fault", FAULTS)
def test_without_auth_the_api_is_unavailable_and_pictures_are_served(
    breakable: Breakable, api: httpx2.Client, cdn: httpx2.Client, image_id: str, fault: str
) -> None:
    with break_it(breakable, "auth", fault):
        began = time.monotonic()
        assert outcome(api.get("/v1/images")) == "503"
        seconds = time.monotonic() - began
        cold = cdn.get(f"/{image_id}?w=51&q={len(fault)}")
        assert (cold.status_code, cold.headers["x-cache"]) == (200, "MISS")
    assert api.get("/v1/images").status_code == 200
    figures(f"auth {fault}: the API's 503", [seconds])


KILLS = [2, pytest.param(20, marks=pytest.mark.faults)]


@pytest.mark.parametrize("kills", KILLS)
@pytest.mark.parametrize("service", ["auth", "ingest", "transform"])
def test_reads_are_served_by_another_process_when_one_is_killed(
    breakable: Breakable, image_id: str, key: str, service: str, kills: int
) -> None:
    def cold(client: httpx2.Client, number: int) -> str:
        return outcome(client.get(f"/{image_id}?w={number % 1000 + 1}&h={number // 1000 + 1}"))

    def listing(client: httpx2.Client, _: int) -> str:
        return outcome(client.get("/v1/images?limit=1"))

    load = Load(breakable, cold if service == "transform" else listing, key=key, clients=2, pause_seconds=0.005)
    names = breakable.names(service)
    with load.running():
        for kill in range(kills):
            breakable.terminate_and_wait(names[kill % len(names)], signal.SIGKILL)
    figure(f"kill -9 of {service}, {kills} times under reads", f"{dict(load.outcomes)}")
    assert set(load.outcomes) == {"200"}
