"""A service that is down is a 503 in the one form, and nothing else goes down with it."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from tests import pictures
from tests.e2e import calls
from tests.e2e.calls import refusal
from tests.stack import Stack


@contextmanager
def stopped(stack: Stack, program: str) -> Iterator[None]:
    """All processes of a service, for as long as the block runs."""
    names = stack.names(program)
    for name in names:
        stack.supervisor.stop(name)
    try:
        yield
    finally:
        for name in names:
            stack.supervisor.start(name)
        for name in names:
            stack.wait_until_ready(name)


def is_unavailable(answer: httpx2.Response) -> bool:
    assert int(answer.headers["retry-after"]) > 0
    return refusal(answer) == (503, "SERVICE_UNAVAILABLE")


def test_without_auth_the_api_is_unavailable_and_pictures_are_served(
    stack: Stack, api: httpx2.Client, cdn: httpx2.Client, image_id: str
) -> None:
    with stopped(stack, "auth"):
        assert is_unavailable(api.get("/v1/images"))
        assert is_unavailable(api.post("/v1/upload", data={"user_id": "1"}, files={"image": pictures.jpeg()}))
        assert is_unavailable(cdn.get("/v1/images"))
        assert cdn.get(f"/{image_id}?w=11").status_code == 200
    assert api.get("/v1/images").status_code == 200


def test_without_ingest_the_api_is_unavailable_and_keys_are_still_checked(
    stack: Stack, api: httpx2.Client, cdn: httpx2.Client, image_id: str
) -> None:
    with stopped(stack, "ingest"):
        assert is_unavailable(api.get("/v1/images"))
        assert is_unavailable(api.post("/v1/upload", data={"user_id": "1"}, files={"image": pictures.jpeg()}))
        assert refusal(cdn.get("/v1/images")) == (401, "INVALID_API_KEY")
        assert cdn.get(f"/{image_id}?w=12").status_code == 200
    assert calls.upload(api, pictures.jpeg())


def test_without_transform_the_cached_is_served_and_the_rest_is_unavailable(
    stack: Stack, api: httpx2.Client, cdn: httpx2.Client, image_id: str
) -> None:
    cached = cdn.get(f"/{image_id}?w=13")
    with stopped(stack, "transform"):
        assert cdn.get(f"/{image_id}?w=13").content == cached.content
        cold = cdn.get(f"/{image_id}?w=14")
        assert is_unavailable(cold)
        assert calls.upload(api, pictures.jpeg())
    assert cdn.get(f"/{image_id}?w=14").status_code == 200
