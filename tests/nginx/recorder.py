"""Stands in for the services behind nginx: answers at once, and remembers what it was asked."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from libs.errors import ApiError
from libs.identity import HEADER
from services.transform.options import parse


class Asked(NamedTuple):
    """A request as it came out of nginx; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]


class Recorder(ThreadingMixIn, UnixStreamServer):
    """A server on a Unix socket: in auth's place it grants all, in transform's it checks the options."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _Handler)
        self._lock = threading.Lock()
        self._asked: list[Asked] = []

    def record(self, asked: Asked) -> None:
        with self._lock:
            self._asked.append(asked)

    def asked(self, about: str) -> list[Asked]:
        """The requests whose target holds these characters, oldest first."""
        with self._lock:
            return [asked for asked in self._asked if about in asked.target]

    def forget(self) -> None:
        with self._lock:
            self._asked.clear()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, Recorder)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.record(Asked(self.command, self.path, headers))
        if self.path == "/authorize":
            self._answer(204, b"", {HEADER: "signed"})
            return
        try:
            parse(dict(parse_qsl(urlsplit(self.path).query)))
        except ApiError as error:
            refused = error.response()
            self._answer(refused.status_code, bytes(refused.body), {"Cache-Control": "no-store"})
        else:
            self._answer(200, self.path.encode(), {"ETag": '"x"'})

    do_POST = do_HEAD = do_GET  # noqa: N815

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def recording(path: Path) -> Iterator[Recorder]:
    with Recorder(path) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
