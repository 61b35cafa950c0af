import asyncio
import contextlib
import io
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
from pythonjsonlogger.json import JsonFormatter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from libs import service
from libs.errors import ImageNotFound
from libs.service import REQUEST_ID, Degraded, State, configure_logging, create_app


async def fine(_: Request) -> Response:
    return PlainTextResponse(REQUEST_ID.get())


async def missing(_: Request) -> Response:
    raise ImageNotFound


async def broken(_: Request) -> Response:
    raise RuntimeError("a cause that nobody outside may read")


async def ok() -> None:
    pass


async def degraded() -> None:
    raise Degraded


async def down() -> None:
    raise ConnectionError("a secret address")


ROUTES = [Route("/fine", fine), Route("/missing/{name:path}", missing), Route("/broken", broken)]


def client_of(**checks: Callable[[], Awaitable[None]]) -> TestClient:
    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[State]:
        yield State(checks=checks)

    return TestClient(create_app(ROUTES, lifespan), raise_server_exceptions=False)


@pytest.fixture
def client() -> Iterator[TestClient]:
    with client_of(store=ok) as client:
        yield client


@pytest.fixture
def logs() -> Iterator[Callable[[], list[dict[str, object]]]]:
    """What was logged so far, a line an object."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging("example", "INFO")
    (handler,) = (one for one in root.handlers if isinstance(one.formatter, JsonFormatter))
    written = io.StringIO()
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    root.handlers[:], root.level = handlers, level


def test_an_error_has_the_one_form_whoever_raised_it(client: TestClient) -> None:
    for path, method, status, code in (
        ("/missing/1", "GET", 404, "IMAGE_NOT_FOUND"),
        ("/nowhere", "GET", 404, "NOT_FOUND"),
        ("/fine", "PUT", 405, "METHOD_NOT_ALLOWED"),
        ("/broken", "GET", 500, "INTERNAL_ERROR"),
    ):
        response = client.request(method, path)
        assert (response.status_code, response.json()["error"]["code"]) == (status, code)
        assert response.headers["cache-control"] == "no-store"


def test_a_wrong_method_is_told_the_right_ones(client: TestClient) -> None:
    assert "GET" in client.put("/fine").headers["allow"]


def test_a_defect_shows_nothing_of_its_cause(client: TestClient) -> None:
    assert "cause" not in client.get("/broken").text


def test_a_request_has_its_id_in_every_line(
    client: TestClient, logs: Callable[[], list[dict[str, object]]]
) -> None:
    assert client.get("/fine", headers={"X-Request-Id": "r-1"}).text == "r-1"
    client.get("/broken", headers={"X-Request-Id": "r-2"})
    lines = [line for line in logs() if line["logger"] in ("request", "defect")]
    assert [(line["logger"], line["request_id"], line.get("status")) for line in lines] == [
        ("request", "r-1", 200),
        ("request", "r-2", 500),
        ("defect", "r-2", None),
    ]
    assert {line["service"] for line in lines} == {"example"}


def test_health_is_not_logged(client: TestClient, logs: Callable[[], list[dict[str, object]]]) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        assert client.get(path).status_code == 200
    assert [line for line in logs() if line["logger"] == "request"] == []


def test_requests_are_counted_by_the_template_of_their_route(client: TestClient) -> None:
    client.get("/missing/no-such-beetroot")
    text = client.get("/metrics").text
    assert 'http_requests_total{method="GET",route="/missing/{name}",status="404"}' in text
    assert "beetroot" not in text


def test_what_a_client_makes_up_is_no_label(client: TestClient) -> None:
    client.request("SURPRISE", "/surprise")
    text = client.get("/metrics").text
    assert 'http_requests_total{method="other",route="other",status="404"}' in text
    assert "surprise" not in text.lower()


def test_metrics_say_which_dependency_answers() -> None:
    with client_of(one=ok, two=degraded, three=down) as client:
        text = client.get("/metrics").text
    for name, up in (("one", 1), ("two", 0), ("three", 0)):
        assert f'dependency_up{{dependency="{name}"}} {up}.0' in text


def test_a_dependency_that_hangs_hides_no_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hung() -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(service, "CHECK_SECONDS", 0.05)
    with client_of(four=hung) as client:
        text = client.get("/metrics").text
    assert 'dependency_up{dependency="four"} 0.0' in text
    assert "http_requests_total" in text


def test_ready_names_each_dependency() -> None:
    with client_of(one=ok, two=ok) as client:
        response = client.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"one": "ok", "two": "ok"})


def test_one_dependency_that_is_down_is_not_ready_and_tells_no_address() -> None:
    with client_of(one=ok, two=down) as client:
        response = client.get("/readyz")
    assert (response.status_code, response.json()) == (503, {"one": "ok", "two": "ConnectionError"})


def test_a_dependency_that_is_not_needed_leaves_the_service_ready() -> None:
    with client_of(one=ok, two=degraded) as client:
        response = client.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"one": "ok", "two": "degraded"})


def test_alive_asks_nobody() -> None:
    with client_of(one=down) as client:
        assert client.get("/livez").status_code == 200
