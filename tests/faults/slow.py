"""Clients that drip: headers, bodies, or their reading of an answer, a few bytes a second."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

DRIP_SECONDS: Final = 1.0
SMALL_WINDOW_BYTES: Final = 2048

Drip = Callable[["Connection"], AsyncIterator[None]]


class Connection:
    """One slow client's."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str, path: str
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.key = key
        self.path = path


async def headers(connection: Connection) -> AsyncIterator[None]:
    """A header a second that never ends."""
    connection.writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
    while True:
        connection.writer.write(b"X-A: b\r\n")
        yield


async def body(connection: Connection) -> AsyncIterator[None]:
    """An upload of which a few bytes come each second."""
    head = (
        f"POST /v1/upload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {connection.key}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000\r\n\r\n--b\r\n"
    )
    connection.writer.write(head.encode())
    while True:
        connection.writer.write(b"X-A: b\r\n")
        yield


async def reading(connection: Connection) -> AsyncIterator[None]:
    """A large picture, read in small pieces."""
    connection.writer.write(f"GET {connection.path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    while True:
        await connection.reader.read(512)
        yield


DRIPS: Final = {"headers": headers, "body": body, "reading": reading}


class SlowClients:
    """`count` connections to the port on loopback, all of which do the same."""

    def __init__(self, port: int, drip: Drip, count: int, key: str, path: str) -> None:
        self._port = port
        self._drip = drip
        self._count = count
        self._key = key
        self._path = path
        self._open = 0
        self._all_open = threading.Event()
        self._stop = asyncio.Event()

    @property
    def open(self) -> int:
        """Connections that nginx has not closed yet."""
        return self._open

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """All are connected before the block begins."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=lambda: loop.run_until_complete(self._run()))
        thread.start()
        self._all_open.wait(60)
        try:
            yield
        finally:
            loop.call_soon_threadsafe(self._stop.set)
            thread.join()
            loop.close()

    async def _run(self) -> None:
        clients = [asyncio.create_task(self._client()) for _ in range(self._count)]
        await self._stop.wait()
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    async def _client(self) -> None:
        connected = socket.socket()
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_WINDOW_BYTES)
        connected.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connected, ("127.0.0.1", self._port))
        reader, writer = await asyncio.open_connection(sock=connected, limit=SMALL_WINDOW_BYTES)
        self._open += 1
        if self._open == self._count:
            self._all_open.set()
        try:
            async for _ in self._drip(Connection(reader, writer, self._key, self._path)):
                await writer.drain()
                await asyncio.sleep(DRIP_SECONDS)
        except OSError:
            pass  # nginx has had enough of it
        finally:
            self._open -= 1
            writer.transport.abort()
