"""What is killed heals, and what is away is missed only where it has to be."""

from collections.abc import Iterator

import httpx2
import pytest

from services.auth.keys import new_key
from tests.containers.stack import SERVICES, STORES, ComposeStack
from tests.e2e import calls
from tests.faults.loads import Loads
from tests.stack import wait_for


@pytest.fixture(scope="module")
def spare(stack: ComposeStack) -> Iterator[ComposeStack]:
    """With two containers of each service."""
    stack.up(auth=2, ingest=2, transform=2)
    for service in SERVICES:
        wait_for(lambda service=service: len(stack.known_backends(service)) == 2)  # type: ignore[misc]
    yield stack
    stack.up(auth=1, ingest=1, transform=1)


@pytest.mark.parametrize("service", [*SERVICES, *STORES, "nginx"])
def test_a_container_that_is_killed_heals_and_nothing_is_lost(
    spare: ComposeStack, key: str, api: httpx2.Client, picture: bytes, service: str
) -> None:
    loads = Loads(spare, key, picture, calls.upload(api, picture)["image_id"])
    killed = spare.containers(service)[0]

    def kill() -> None:
        began = spare.inspect([killed])[0]["State"]["StartedAt"]
        spare.kill(killed)
        wait_for(
            lambda: spare.inspect([killed])[0]["State"]["StartedAt"] != began and spare.is_healthy(killed)
        )
        spare.wait_until_it_works(api)

    loads.run_while(kill)
    loads.figure(f"kill -9 {service}")
    if service in SERVICES:
        assert loads.all_outcomes() == {"200"}
    elif service != "nginx":
        assert loads.all_outcomes() <= {"200", "503"}
    assert set(loads.by_name["hit"].outcomes) == {"200"} or service == "nginx"
    with calls.client(spare) as client:
        assert {client.get(f"/{image_id}").status_code for image_id in loads.made} == {200}


def test_without_redis_callers_are_served(stack: ComposeStack, api: httpx2.Client, picture: bytes) -> None:
    with stack.stopped("redis"):
        made = calls.upload(api, picture)
        assert api.get("/v1/images?limit=1").status_code == 200
        assert api.get(made["image_url"]).status_code == 200


def test_without_postgres_pictures_are_served_and_nobody_is_let_in(
    stack: ComposeStack, api: httpx2.Client, cdn: httpx2.Client, picture: bytes
) -> None:
    image_id = calls.upload(api, picture)["image_id"]
    with stack.stopped("postgres"):
        upload = api.post("/v1/upload", data={"user_id": "1"}, files={"image": ("a.jpg", picture)})
        assert calls.refusal(upload) == (503, "SERVICE_UNAVAILABLE")
        with calls.client(stack, new_key()) as unknown:
            assert calls.refusal(unknown.get("/v1/images")) == (503, "SERVICE_UNAVAILABLE")
        assert cdn.get(f"/{image_id}?w=44").status_code == 200
    stack.wait_until_it_works(api)


def test_without_the_store_cached_pictures_are_served_and_nothing_is_recorded(
    stack: ComposeStack, api: httpx2.Client, cdn: httpx2.Client, picture: bytes
) -> None:
    image_id = calls.upload(api, picture, "before")["image_id"]
    assert cdn.get(f"/{image_id}?w=44").status_code == 200
    with stack.stopped("objects"):
        upload = api.post("/v1/upload", data={"user_id": "lost"}, files={"image": ("a.jpg", picture)})
        assert calls.refusal(upload) == (503, "SERVICE_UNAVAILABLE")
        assert cdn.get(f"/{image_id}?w=44").status_code == 200
        assert calls.refusal(cdn.get(f"/{image_id}?w=45")) == (503, "SERVICE_UNAVAILABLE")
    stack.wait_until_it_works(api)
    assert api.get("/v1/images?user_id=lost").json()["images"] == []
    assert cdn.get(f"/{image_id}?w=45").status_code == 200
