"""Redis, PostgreSQL and each service down or hung: what users see (design section 7)."""

import contextlib
import itertools
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
from tests.faults.proxy import Fault, Proxy, in_front_of
from tests.stack import wait_for

FAULTS = ("down", "hung")
SIDES = itertools.count(1)  # each makes a variant that nobody has asked for
END_CONNECTIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE usename = current_user AND pid <> pg_backend_pid()"
)
COUNTS = [10, pytest.param(500, marks=pytest.mark.faults)]
UPLOADS = [1, pytest.param(20, marks=pytest.mark.faults)]


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


def counts_in_redis(stack: Breakable, api: httpx2.Client) -> bool:
    """Whether all processes of auth have noticed that Redis is there."""
    before = degraded(stack)
    for _ in range(8):
        api.get("/v1/images?limit=1")
    return degraded(stack) == before


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("fault", FAULTS)
def test_without_redis_valid_keys_are_served(
    breakable: Breakable, api: httpx2.Client, fault: str, count: int
) -> None:
    usual, broken = Timer(), Timer()
    wait_for(lambda: counts_in_redis(breakable, api))
    for _ in range(count):
        with usual.once():
            assert api.get("/v1/images?limit=1").status_code == 200
    before = degraded(breakable)
    with break_it(breakable, "redis", fault):
        for _ in range(count):
            with broken.once():
                assert api.get("/v1/images?limit=1").status_code == 200
        with calls.client(breakable, keys.new_key()) as unknown:
            assert calls.refusal(unknown.get("/v1/images")) == (401, "INVALID_API_KEY")
        assert degraded(breakable) - before == count
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
        for _ in range(count):
            with uploads.once():
                assert outcome(upload(api, picture)) == "503"
            with reads.once():
                assert outcome(api.get(f"/v1/images/{image_id}")) == "503"
            assert cdn.get(f"/{image_id}?w=50").content == cached.content
            cold = cdn.get(f"/{image_id}?w={next(SIDES)}&h=7")
            assert (cold.status_code, cold.headers["x-cache"]) == (200, "MISS")
    assert upload(api, picture).status_code == 200
    figures(f"PostgreSQL {fault}: an upload's 503", uploads.seconds)
    figures(f"PostgreSQL {fault}: the 503 of GET /v1/images/…", reads.seconds)


@contextlib.contextmanager
def postgres_behind_a_proxy(stack: Breakable, api: httpx2.Client, image_id: str) -> Iterator[Proxy]:
    """The connections that there were are ended, before and after."""
    with in_front_of(stack.state.postgres_sockets / ".s.PGSQL.5432") as proxy:
        stack.sql(END_CONNECTIONS)
        wait_for(lambda: {outcome(api.get(f"/v1/images/{image_id}")) for _ in range(4)} == {"200"})
        yield proxy
    stack.sql(END_CONNECTIONS)
    wait_for(lambda: {outcome(api.get(f"/v1/images/{image_id}")) for _ in range(4)} == {"200"})


def test_a_request_whose_statement_was_cut_off_is_a_503(
    breakable: Breakable, api: httpx2.Client, image_id: str
) -> None:
    with postgres_behind_a_proxy(breakable, api, image_id) as proxy:
        with proxy.faulty(Fault(cut_after=20, concerns=lambda piece: b"SELECT" in piece)):
            assert outcome(api.get(f"/v1/images/{image_id}")) == "503"
        with proxy.faulty(Fault(refuse=True)):
            assert outcome(api.get(f"/v1/images/{image_id}")) == "503"
        assert outcome(api.get(f"/v1/images/{image_id}")) == "200"


def test_a_picture_whose_commit_got_no_answer_keeps_its_objects(
    breakable: Breakable, api: httpx2.Client, cdn: httpx2.Client, picture: bytes, image_id: str
) -> None:
    """Nobody knows how that transaction ended: the clean-up of the upload, which failed, has to ask."""
    commits = itertools.count()

    def is_the_first(piece: bytes) -> bool:
        """The id is reserved by a statement of its own; the first transaction makes the record ready."""
        return b"COMMIT" in piece and next(commits) == 0

    def send() -> httpx2.Response:
        files, headers = {"image": ("a.jpg", picture)}, {"Idempotency-Key": "commit"}
        return api.post("/v1/upload", data={"user_id": "commit"}, files=files, headers=headers)

    cleanups = calls.metric(breakable, "ingest", "upload_cleanups_total")
    fault = Fault(cut_after=0, concerns=is_the_first)
    with postgres_behind_a_proxy(breakable, api, image_id) as proxy, proxy.faulty(fault):
        assert outcome(send()) == "503"
        assert next(commits) > 0
        wait_for(lambda: calls.metric(breakable, "ingest", "upload_cleanups_total") > cleanups)
    assert breakable.incomplete() == []
    ready = breakable.sql("SELECT image_id FROM images WHERE user_id = 'commit' AND status = 'ready'")
    again = send()
    assert [row["image_id"] for row in ready] == [again.json()["image_id"]]
    assert cdn.get(f"/{again.json()['image_id']}?w=30").status_code == 200


@pytest.mark.parametrize("fault", ["down", pytest.param("hung", marks=pytest.mark.faults)])
def test_without_auth_the_api_is_unavailable_and_pictures_are_served(
    breakable: Breakable, api: httpx2.Client, cdn: httpx2.Client, image_id: str, fault: str
) -> None:
    with break_it(breakable, "auth", fault):
        began = time.monotonic()
        assert outcome(api.get("/v1/images")) == "503"
        seconds = time.monotonic() - began
        cold = cdn.get(f"/{image_id}?w={next(SIDES)}&h=7")
        assert (cold.status_code, cold.headers["x-cache"]) == (200, "MISS")
    assert api.get("/v1/images").status_code == 200
    figures(f"auth {fault}: the API's 503", [seconds])


BETWEEN_KILLS_SECONDS = 1  # so that no request meets two of them: nginx tries every process once
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

    load = Load(
        breakable, cold if service == "transform" else listing, key=key, clients=2, pause_seconds=0.005
    )
    names = breakable.names(service)
    with load.running():
        for kill in range(kills):
            breakable.terminate_and_wait(names[kill % len(names)], signal.SIGKILL)
            time.sleep(BETWEEN_KILLS_SECONDS)
    figure(f"kill -9 of {service}, {kills} times under reads", f"{dict(load.outcomes)}")
    assert set(load.outcomes) == {"200"}
