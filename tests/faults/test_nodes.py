"""Deletes while an nginx node is down, hung, draining or new."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from signal import SIGKILL, SIGTERM
from typing import Final

import pytest

from tests.faults.figures import figure
from tests.faults.nodes import Pair
from tests.faults.races import VARIANTS, Races, Tally, racing
from tests.stack import wait_for

pytestmark = pytest.mark.anyio

PICTURES: Final = 10  # of one round
JANITOR_SECONDS: Final = (
    60  # generous: it repeats after 5 s, and waits 30 for the lease of a process that died
)

Scene = Callable[[Pair, Races, int], Awaitable[None]]


async def warm(pair: Pair, races: Races, count: int = PICTURES) -> list[str]:
    """New pictures, in the cache of both nodes."""
    made = await asyncio.gather(*(races.upload() for _ in range(count)))
    for image_id in made:
        for node in pair.base_urls:
            for variant in VARIANTS[:3]:
                assert await races.get(node, image_id, variant) == 200
    return made


async def in_thread(block: Callable[[], None]) -> None:
    await asyncio.get_running_loop().run_in_executor(None, block)


def start(pair: Pair) -> "asyncio.Task[None]":
    """The second node; the task ends when it answers."""
    pair.other.start(wait=False)
    return asyncio.create_task(in_thread(pair.other.wait))


async def deleted_while_down(pair: Pair, races: Races, number: int) -> None:
    """The node is away for the deletes, and is asked for the pictures from the moment it is back."""
    made = await warm(pair, races)
    signal = (SIGTERM, SIGKILL)[number % 2]
    await in_thread(lambda: pair.other.stop(signal))
    try:
        statuses = await asyncio.gather(*(races.race(image_id) for image_id in made))
        assert set(statuses) <= {200, 202}
    finally:
        starting = start(pair)
    while not starting.done():
        await races.sweep(sure(made, statuses)[:2], VARIANTS[:2])
        await asyncio.sleep(0)  # where none is sure
    await starting
    await races.sweep(sure(made, statuses))


async def deleted_while_starting(pair: Pair, races: Races, number: int) -> None:
    """A new node with an empty disk: it begins to listen shortly before, during or after the deletes."""
    made = await warm(pair, races)
    await in_thread(lambda: pair.other.stop(SIGTERM))
    pair.other.wipe()
    starting = start(pair)
    await asyncio.sleep(0.01 * (number % 10))
    statuses = await asyncio.gather(*(races.race(image_id) for image_id in made))
    await starting
    assert set(statuses) <= {200, 202}
    await races.sweep(sure(made, statuses))


def sure(image_ids: list[str], statuses: list[int]) -> list[str]:
    """Those whose DELETE has answered 200: on a machine that is busy enough, any node may look hung."""
    return [image_id for image_id, status in zip(image_ids, statuses, strict=True) if status == 200]


async def deleted_while_hung(pair: Pair, races: Races, number: int) -> None:
    """The delete is pending until the node has answered."""
    made = await warm(pair, races)
    with pair.other.hung():
        statuses = await asyncio.gather(*(races.delete(image_id) for image_id in made))
        assert set(statuses) == {202}
        for image_id in made:
            assert await races.get(pair.origin, image_id, VARIANTS[number % 3]) == 404
        await in_thread(lambda: wait_for(lambda: pair.pending() >= len(made)))
    await until_sure(pair)
    await races.sweep(made)


async def until_sure(pair: Pair) -> None:
    await in_thread(lambda: wait_for(lambda: pair.pending() == 0, JANITOR_SECONDS))


SCENES: Final[list[Scene]] = [deleted_while_down, deleted_while_starting, deleted_while_hung]


async def play(pair: Pair, scene: Scene, rounds: int) -> Tally:
    async with racing(pair.origin, pair.key, pair.base_urls) as races:
        for number in range(rounds):
            await scene(pair, races, number)
        assert races.tally.broken == []
        assert races.tally.after[404] > 0
        return races.tally


@pytest.mark.parametrize(("scene", "rounds"), list(zip(SCENES, (2, 1, 1), strict=True)))
async def test_a_picture_is_never_served_after_its_delete(pair: Pair, scene: Scene, rounds: int) -> None:
    await play(pair, scene, rounds)


@pytest.mark.faults
@pytest.mark.parametrize(("scene", "rounds"), list(zip(SCENES, (100, 100, 30), strict=True)))
async def test_never_in_a_thousand_deletes(pair: Pair, scene: Scene, rounds: int) -> None:
    tally = await play(pair, scene, rounds)
    state = scene.__name__.rpartition("_")[2]
    figure(f"{rounds * PICTURES} pictures deleted while the second node was {state}", tally)


async def test_a_node_that_drains_serves_no_deleted_picture_on_connections_it_has(
    pair: Pair,
) -> None:
    """nginx closes its control address at SIGQUIT, and goes on with the connections that are open."""
    async with racing(pair.origin, pair.key, pair.base_urls) as races:
        (image_id, kept_id) = await warm(pair, races, 2)
        connections = [socket.create_connection(("127.0.0.1", pair.other.port)) for _ in range(4)]
        connections[0].sendall(b"GET /")
        assert status_of(connections[1], kept_id) == 200  # its one worker has accepted all of them now
        pair.other.drain()
        try:
            await in_thread(lambda: wait_for(lambda: not pair.other.answers()))
            assert await races.delete(image_id) == 200
            assert status_of(connections[0], image_id, "") == 404
            assert status_of(connections[2], image_id) == 404
            assert status_of(connections[3], kept_id) == 200
        finally:
            for connection in connections:
                connection.close()
            await in_thread(pair.other.stop)
            await start(pair)
        await races.sweep([image_id])
        assert races.tally.broken == []


def status_of(connection: socket.socket, image_id: str, verb: str = "GET /") -> int:
    """Of a request for a size that is in the cache."""
    connection.sendall(f"{verb}{image_id}?w=16 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    connection.settimeout(30)
    return int(connection.recv(65_536).split()[1])


async def test_a_delete_whose_process_is_killed_goes_on_in_another(pair: Pair) -> None:
    """nginx sends it again, and it is not told that there is no such picture."""
    async with racing(pair.origin, pair.key, pair.base_urls) as races:
        made = await warm(pair, races, 6)
        with pair.other.hung():  # so that they take a while, about half of them in each process
            deleting = asyncio.gather(*(races.delete(image_id) for image_id in made))
            await in_thread(lambda: wait_for(lambda: pair.pending() >= len(made)))
            await in_thread(lambda: pair.stack.terminate_and_wait("ingest-0", SIGKILL))
            assert set(await deleting) == {202}
        await until_sure(pair)
        await races.sweep(made)
        assert races.tally.broken == []
