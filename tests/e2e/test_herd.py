"""Many who ask at once for what nobody has rendered yet."""

import asyncio
import time
from typing import NamedTuple

import httpx2
import pytest

from tests import pictures
from tests.e2e import calls
from tests.e2e.calls import NOWHERE
from tests.stack import Stack

CLIENTS = 200

pytestmark = pytest.mark.anyio


class Answer(NamedTuple):
    status: int
    body: bytes
    seconds: float


async def herd(stack: Stack, path: str) -> list[Answer]:
    """All are connected before the first of them asks."""
    connections = [await asyncio.open_connection("127.0.0.1", stack.port) for _ in range(CLIENTS)]
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    started = time.perf_counter()

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer:
        writer.write(request)
        answer = await reader.read(-1)
        seconds = time.perf_counter() - started
        writer.close()
        await writer.wait_closed()
        head, _, body = answer.partition(b"\r\n\r\n")
        return Answer(int(head.split()[1]), body, seconds)

    answers = await asyncio.gather(*(ask(*connection) for connection in connections))
    seconds = sorted(answer.seconds for answer in answers)
    spread = f"first after {seconds[0] * 1000:.0f} ms, last after {seconds[-1] * 1000:.0f} ms"
    print(f"\n{CLIENTS} clients of {path}: {spread}")  # noqa: T201 shown by pytest -s
    return answers


@pytest.mark.parametrize("query", ["w=150&h=150", "w=900&f=webp", "f=png"])
async def test_a_herd_of_one_cold_variant_costs_one_render(
    stack: Stack, api: httpx2.Client, query: str
) -> None:
    image_id = calls.upload(api, pictures.jpeg(1600, 1200))["image_id"]
    before = calls.metric(stack, "transform", "renders_total")
    answers = await herd(stack, f"/{image_id}?{query}")
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert calls.metric(stack, "transform", "renders_total") == before + 1


async def test_a_herd_of_a_picture_that_does_not_exist_gets_its_404(stack: Stack) -> None:
    answers = await herd(stack, f"/{NOWHERE}?w=150")
    assert {answer.status for answer in answers} == {404}
    assert all(b"IMAGE_NOT_FOUND" in answer.body for answer in answers)


async def test_the_first_answer_shows_the_picture_to_a_herd(stack: Stack, api: httpx2.Client) -> None:
    """No parameter: nothing is rendered at all."""
    image_id = calls.upload(api, pictures.jpeg(1600, 1200))["image_id"]
    before = calls.metric(stack, "transform", "renders_total")
    answers = await herd(stack, f"/{image_id}")
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert calls.metric(stack, "transform", "renders_total") == before
