"""An S3 server that answers in five milliseconds: `python -m tests.bench.store PORT FOLDER`.

Every id has the renditions in FOLDER, those of one picture as the folder store writes them. `/count` tells
how many objects were fetched.
"""

import asyncio
import sys
from pathlib import Path
from typing import Final, cast

import httptools
import uvloop

from libs.objects.folder import _read as read

DELAY_SECONDS: Final = 0.005
BUCKET: Final = "bench"


class Objects:
    """The answers to GET of each rendition, ready to be sent."""

    def __init__(self, folder: Path) -> None:
        self.fetched = 0
        self._answers = {file.name: _answer(file) for file in folder.iterdir()}

    def answer(self, method: bytes, path: str) -> bytes:
        if path == "/count":
            return _head("200 OK", [f"Content-Length: {len(str(self.fetched))}"]) + str(self.fetched).encode()
        if path.strip("/") == BUCKET:
            return _head("200 OK", ["Content-Length: 0"])
        answer = self._answers.get(path.rpartition("/")[2])
        if answer is None:
            body = b"<Error><Code>NoSuchKey</Code></Error>"
            return _head("404 Not Found", [f"Content-Length: {len(body)}"]) + body
        if method == b"HEAD":
            return answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        self.fetched += 1
        return answer


class Protocol(asyncio.Protocol):
    """One connection, kept alive."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._parser = httptools.HttpRequestParser(self)
        self._path = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path = url

    def on_message_complete(self) -> None:
        answer = self._objects.answer(self._parser.get_method(), self._path.decode().partition("?")[0])
        asyncio.get_running_loop().call_later(DELAY_SECONDS, self._transport.write, answer)


def _answer(file: Path) -> bytes:
    stored = read(file)
    meta = [f"x-amz-meta-{name.replace('_', '-')}: {value}" for name, value in stored.meta.items()]
    return _head("200 OK", [f"Content-Length: {len(stored.data)}", 'ETag: "bench"', *meta]) + stored.data


def _head(status: str, headers: list[str]) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode()


async def serve(port: int, folder: Path) -> None:
    objects = Objects(folder)
    server = await asyncio.get_running_loop().create_server(lambda: Protocol(objects), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
