"""Each service is scaled and replaced by itself, and nobody who asks meanwhile notices."""

import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import httpx2
import pytest

from tests.containers.stack import SERVICES, ComposeStack
from tests.e2e import calls
from tests.faults.loads import Loads
from tests.stack import wait_for


class EitherOrigin(httpx2.BaseTransport):
    """Asks the other origin where one does not answer; an upload is sent again under its key."""

    def __init__(self, origins: list[str]) -> None:
        self._origins = [httpx2.URL(origin) for origin in origins]
        self._transport = httpx2.HTTPTransport()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            request.headers.setdefault("Idempotency-Key", uuid.uuid4().hex)
        for origin in self._origins:
            request.url = request.url.copy_with(port=origin.port)
            with suppress(httpx2.TransportError):
                return self._transport.handle_request(request)
        raise httpx2.ConnectError("no origin answers")

    def close(self) -> None:
        self._transport.close()


def client_of_both(origins: list[str], key: str) -> httpx2.Client:
    return httpx2.Client(
        base_url=origins[0],
        headers={"Authorization": f"Bearer {key}"},
        timeout=calls.TIMEOUT_SECONDS,
        transport=EitherOrigin(origins),
    )


@pytest.fixture
def loads(stack: ComposeStack, key: str, api: httpx2.Client, picture: bytes) -> Loads:
    return Loads(stack, key, picture, calls.upload(api, picture)["image_id"])


@pytest.fixture
def two_nodes(stack: ComposeStack) -> Iterator[list[str]]:
    """The base URLs of two nginx nodes."""
    stack.up(nginx=2)
    yield stack.origins()
    stack.up(nginx=1)


def test_transform_is_scaled_up_and_down_and_no_request_is_lost(
    stack: ComposeStack, loads: Loads, cdn: httpx2.Client
) -> None:
    known: list[int] = []

    def scale() -> None:
        for count in (3, 1):
            stack.up("transform", transform=count)
            wait_for(lambda count=count: len(stack.known_backends("transform")) == count)  # type: ignore[misc]
            known.append(len(stack.known_backends("transform")))

    loads.run_while(scale)
    loads.figure("transform 1 -> 3 -> 1")
    assert known == [3, 1]
    assert loads.all_outcomes() == {"200"}
    assert all(cdn.get(f"/{image_id}").status_code == 200 for image_id in loads.made[-20:])


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_replaced_container_by_container_and_no_request_is_lost(
    stack: ComposeStack, loads: Loads, cdn: httpx2.Client, service: str
) -> None:
    before = stack.containers(service)
    loads.run_while(lambda: stack.roll(service))
    loads.figure(f"roll {service}")
    after = stack.containers(service)
    assert len(after) == len(before)
    assert not set(after) & set(before)
    assert loads.all_outcomes() == {"200"}
    assert all(cdn.get(f"/{image_id}").status_code == 200 for image_id in loads.made[-20:])


def test_a_delete_reaches_every_nginx(
    stack: ComposeStack, two_nodes: list[str], api: httpx2.Client, picture: bytes
) -> None:
    image_id = calls.upload(api, picture)["image_id"]
    addresses: Final = [f"{node}/{image_id}?w=33" for node in two_nodes]
    with httpx2.Client() as client:
        assert [client.get(address).status_code for address in addresses * 2] == [200] * 4
        assert [client.get(address).headers["x-cache"] for address in addresses] == ["HIT"] * 2
        answer = api.delete(f"/v1/images/{image_id}")
        assert answer.json() == {"success": True, "image_id": image_id}
        assert [client.get(address).status_code for address in addresses] == [404] * 2


def test_nginx_is_replaced_behind_what_asks_the_other_node_instead(
    stack: ComposeStack, two_nodes: list[str], key: str, picture: bytes, api: httpx2.Client
) -> None:
    """As a CDN with two origins does, or any client that sends an upload again under its Idempotency-Key."""
    image_id = calls.upload(api, picture)["image_id"]
    before = stack.containers("nginx")
    loads = Loads(stack, key, picture, image_id, make_client=lambda: client_of_both(two_nodes, key))
    loads.run_while(lambda: stack.roll("nginx"))
    loads.figure("roll two nginx nodes")
    assert len(before) == len(stack.containers("nginx"))
    assert not set(before) & set(stack.containers("nginx"))
    assert loads.all_outcomes() == {"200"}
