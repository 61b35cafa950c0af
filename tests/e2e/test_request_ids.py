"""X-Request-Id: one name for a request, from the client's answer to the last service's log."""

import json
import re
import time
import uuid
from collections.abc import Callable

import httpx2
import pytest

from tests import pictures
from tests.e2e.calls import NOWHERE
from tests.stack import Stack

LOGGED_SECONDS = 10  # nginx writes its log once a second

SANE = ["a", "0", "req-1", "A" * 128, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "a.b:c_d-e"]
INSANE = ["", "A" * 129, "a b", "-a", "a;b", "a\tb", 'a"b', "a\\b", "{a}", "a/b", "<b>"]

ANSWERS: dict[str, Callable[[httpx2.Client, dict[str, str]], httpx2.Response]] = {
    "an API answer": lambda api, headers: api.get("/v1/images", headers=headers),
    "an error of ingest": lambda api, headers: api.post("/v1/upload", headers=headers),
    "an error of auth": lambda api, headers: api.get(
        "/v1/images", headers=headers | {"Authorization": "Bearer x"}
    ),
    "an error of transform": lambda api, headers: api.get(f"/{NOWHERE}", headers=headers),
    "an error of nginx": lambda api, headers: api.get("/nothing", headers=headers),
}


@pytest.mark.parametrize("sent", SANE)
@pytest.mark.parametrize("answer", ANSWERS)
def test_a_sane_id_is_kept(api: httpx2.Client, answer: str, sent: str) -> None:
    got = ANSWERS[answer](api, {"X-Request-Id": sent})
    assert got.headers.get_list("x-request-id") == [sent]


@pytest.mark.parametrize("sent", INSANE)
@pytest.mark.parametrize("answer", ANSWERS)
def test_another_one_is_replaced(api: httpx2.Client, answer: str, sent: str) -> None:
    got = ANSWERS[answer](api, {"X-Request-Id": sent})
    assert re.fullmatch(r"[0-9a-f]{32}", got.headers["x-request-id"])


def test_every_request_has_an_id_of_its_own(api: httpx2.Client, image_id: str) -> None:
    ids = [api.get(path).headers["x-request-id"] for path in ("/v1/images", f"/{image_id}") for _ in range(5)]
    assert len(set(ids)) == 10


def lines(stack: Stack, program: str, request_id: str) -> list[dict[str, object]]:
    """What a service logged of a request; every line has to be a JSON object."""
    text = (
        (stack.state_dir / "log" / "nginx-access.log").read_text()
        if program == "nginx"
        else stack.log(program)
    )
    found = [json.loads(line) for line in text.splitlines() if request_id in line]
    return [line for line in found if line["request_id"] == request_id]


def wait_for_lines(stack: Stack, program: str, request_id: str) -> list[dict[str, object]]:
    deadline = time.monotonic() + LOGGED_SECONDS
    while not (found := lines(stack, program, request_id)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def test_every_service_logs_the_id_of_the_request(stack: Stack, api: httpx2.Client) -> None:
    upload, read = f"upload-{uuid.uuid4()}", f"read-{uuid.uuid4()}"
    answer = api.post(
        "/v1/upload",
        data={"user_id": "1"},
        files={"image": pictures.jpeg()},
        headers={"X-Request-Id": upload},
    )
    path = f"/{answer.json()['image_id']}?w=20"
    api.get(path, headers={"X-Request-Id": read})
    for program, request_id in (
        ("nginx", upload),
        ("auth", upload),
        ("ingest", upload),
        ("nginx", read),
        ("transform", read),
    ):
        found = wait_for_lines(stack, program, request_id)
        assert found, f"{program} has no line of {request_id}"
        assert {line["service"] for line in found} == {program}
    assert lines(stack, "nginx", read)[0]["path"] == path


def test_no_log_shows_a_key_or_an_identity(stack: Stack, api: httpx2.Client, key: str) -> None:
    request_id = f"secret-{uuid.uuid4()}"
    assert api.get("/v1/images", headers={"X-Request-Id": request_id}).status_code == 200
    assert wait_for_lines(stack, "nginx", request_id)
    for log in (stack.state_dir / "log").glob("*.log"):
        text = log.read_text(errors="replace")
        assert key not in text, log.name
        assert "account_id" not in text, log.name
