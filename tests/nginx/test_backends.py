"""Which of a service's processes nginx is told of, by what they answer on real sockets."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack

import pytest

from deploy.nginx.backends import PATIENCE, Address, Backends

pytestmark = pytest.mark.anyio

TIMEOUT_SECONDS = 0.5
NOBODY = Address("127.0.0.1", 1)


class Process:
    """Answers /livez with `body`; with None, never."""

    def __init__(self, body: str | None) -> None:
        self.body = body
        self.address = NOBODY

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if self.body is None:
            await reader.read()
        else:
            writer.write(f"HTTP/1.1 200 OK\r\n\r\n{self.body}".encode())
        writer.close()


StartProcess = Callable[[str | None], Awaitable[Process]]


@pytest.fixture
async def start() -> AsyncGenerator[StartProcess]:
    async with AsyncExitStack() as servers:

        async def start(body: str | None = "ok") -> Process:
            process = Process(body)
            server = await asyncio.start_server(process.answer, "127.0.0.1", 0)
            servers.callback(server.close)
            process.address = Address(*server.sockets[0].getsockname())
            return process

        yield start


class Names:
    """Resolves to `addresses`, or to nothing."""

    def __init__(self, *addresses: Address) -> None:
        self.addresses: Iterable[Address] | None = addresses

    async def __call__(self) -> Iterable[Address]:
        if self.addresses is None:
            raise OSError
        return self.addresses


def backends(*addresses: Address) -> Backends:
    return Backends(Names(*addresses), TIMEOUT_SECONDS)


async def test_all_that_answer_are_found_in_one_order(start: StartProcess) -> None:
    addresses = [(await start("ok")).address for _ in range(3)]
    assert await backends(*addresses).find() == tuple(sorted(addresses))


async def test_one_that_does_not_listen_yet_is_left_out(start: StartProcess) -> None:
    process = await start("ok")
    assert await backends(NOBODY, process.address).find() == (process.address,)


async def test_one_that_drains_is_left_out_at_once(start: StartProcess) -> None:
    leaving, staying = await start("ok"), await start("ok")
    found = backends(leaving.address, staying.address)
    assert len(await found.find()) == 2
    leaving.body = "draining"
    assert await found.find() == (staying.address,)


async def test_the_last_one_is_kept_while_it_drains(start: StartProcess) -> None:
    process = await start("draining")
    assert await backends(process.address, NOBODY).find() == (process.address,)


async def test_a_busy_one_is_kept_until_it_has_been_silent_for_long(start: StartProcess) -> None:
    busy, other = await start("ok"), await start("ok")
    found = backends(busy.address, other.address)
    await found.find()
    busy.body = None
    for _ in range(PATIENCE - 1):
        assert busy.address in await found.find()
    assert await found.find() == (other.address,)
    busy.body = "ok"
    assert busy.address in await found.find()


async def test_a_name_that_does_not_resolve_changes_nothing(start: StartProcess) -> None:
    names = Names((await start("ok")).address)
    found = Backends(names, TIMEOUT_SECONDS)
    before = await found.find()
    names.addresses = None
    assert await found.find() == before != ()


async def test_when_nobody_answers_the_last_ones_known_are_kept(start: StartProcess) -> None:
    process = await start("ok")
    names = Names(process.address)
    found = Backends(names, TIMEOUT_SECONDS)
    before = await found.find()
    names.addresses = [NOBODY]
    assert await found.find() == before == (process.address,)
