"""A proxy for TCP and Unix sockets that delays, cuts, hangs, refuses, or answers by itself."""

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

PIECE_BYTES: Final = 65_536
START_SECONDS: Final = 10
BACKLOG: Final = 100

Address = Path | tuple[str, int]
Faulty = Callable[[bytes], bool]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong with the other side, for the connections whose request `concerns`.

    `delay_seconds`: before each piece of an answer. `cut_after`: bytes of answers, after which the connection
    is closed. `hang`: nothing passes either way. `refuse`: nobody listens. `answer`: said to every request.
    """

    delay_seconds: float = 0
    cut_after: int | None = None
    hang: bool = False
    refuse: bool = False
    answer: bytes | None = None
    concerns: Faulty = field(default=lambda _: True)


class Proxy:
    """Listens at `address` and passes on to `target`, in a thread of its own."""

    def __init__(self, target: Address, address: Address = ("127.0.0.1", 0)) -> None:
        self._target = target
        self._address = address
        self._fault: Fault | None = None
        self._loop = asyncio.new_event_loop()
        self._listener: socket.socket | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._do(self._listen())

    @property
    def url(self) -> str:
        if isinstance(self._address, Path):
            raise TypeError("a Unix socket has no URL")
        host, port = self._address
        return f"http://{host}:{port}"

    @contextlib.contextmanager
    def faulty(self, fault: Fault) -> Iterator[None]:
        """The fault for as long as the block runs, for the connections there are and for new ones."""
        self._do(self._set(fault))
        try:
            yield
        finally:
            self._do(self._set(None))

    def close(self) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Awaitable[None]) -> None:
        asyncio.run_coroutine_threadsafe(_as_coroutine(work), self._loop).result(START_SECONDS)

    async def _set(self, fault: Fault | None) -> None:
        was, self._fault = self._fault, fault
        if fault and fault.refuse:
            await self._stop()
        elif was:
            # What has hung or was cut is of no use to anybody any more.
            await self._stop()
            await self._listen()

    async def _listen(self) -> None:
        # Not asyncio's server: closed just after an accept, it leaves that connection to nobody.
        if isinstance(self._address, Path):
            self._address.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(self._address))
            listener.listen(BACKLOG)
        else:
            listener = socket.create_server(self._address, backlog=BACKLOG)
            self._address = listener.getsockname()[:2]
        listener.setblocking(False)
        self._loop.add_reader(listener, self._accept, listener)
        self._listener = listener

    async def _stop(self) -> None:
        """A Unix socket's file stays, so that connecting to it is refused."""
        if self._listener:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, listener: socket.socket) -> None:
        """Known from its first moment: one that is cancelled before its task begins is closed too."""
        try:
            connection, _ = listener.accept()
        except OSError:  # gone again
            return
        connection.setblocking(False)
        task = self._loop.create_task(self._serve(connection))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        task.add_done_callback(lambda _: connection.close())

    async def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            reader, writer = await asyncio.open_connection(sock=connection)
            try:
                await self._pass_on(reader, writer)
            finally:
                _reset(writer)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back_reader, back_writer = await self._connect()
        current = _Request()
        there = asyncio.create_task(self._requests(reader, back_writer, writer, current))
        back = asyncio.create_task(self._answers(back_reader, writer, current))
        try:
            await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (there, back):
                task.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
            _reset(back_writer)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, Path):
            return await asyncio.open_unix_connection(self._target)
        return await asyncio.open_connection(*self._target)

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        writer: asyncio.StreamWriter,
        current: "_Request",
    ) -> None:
        while piece := await reader.read(PIECE_BYTES):
            current.fault = self._fault if self._fault and self._fault.concerns(piece) else None
            current.sent = 0
            if current.fault and current.fault.hang:
                await asyncio.Event().wait()
            if current.fault and current.fault.answer is not None:
                writer.write(current.fault.answer)
                await writer.drain()
                writer.close()
                await writer.wait_closed()
                return
            back.write(piece)
            await back.drain()

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, current: "_Request"
    ) -> None:
        while piece := await reader.read(PIECE_BYTES):
            fault = current.fault
            if fault and fault.delay_seconds:
                await asyncio.sleep(fault.delay_seconds)
            if fault and fault.cut_after is not None:
                piece = piece[: max(0, fault.cut_after - current.sent)]
            current.sent += len(piece)
            writer.write(piece)
            await writer.drain()
            if fault and fault.cut_after is not None and current.sent >= fault.cut_after:
                writer.write_eof()  # a clean end, which is the harder one to notice
                await asyncio.sleep(0.05)
                return


@dataclass
class _Request:
    """The one that is under way on a connection: its fault, and the bytes of its answer so far."""

    fault: Fault | None = None
    sent: int = 0


@contextlib.contextmanager
def in_front_of(path: Path) -> Iterator[Proxy]:
    """A proxy in the place of a listening Unix socket, which is moved aside meanwhile.

    Only new connections come through it, and its owner must not restart.
    """
    aside = path.with_name(f"{path.name}.aside")
    status = path.stat()
    path.rename(aside)
    proxy = Proxy(aside, path)
    os.chown(path, status.st_uid, status.st_gid)
    path.chmod(status.st_mode)
    try:
        yield proxy
    finally:
        proxy.close()
        aside.rename(path)


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        writer.transport.abort()


async def _as_coroutine(work: Awaitable[None]) -> None:
    await work


def tcp_address(url: str) -> tuple[str, int]:
    """Of http://host:port."""
    host, _, port = url.removeprefix("http://").partition(":")
    return socket.gethostbyname(host), int(port)
