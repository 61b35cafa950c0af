"""Asks the processes of the stack whether they can take requests."""

import http.client
import socket
from pathlib import Path
from typing import Final

TIMEOUT_SECONDS: Final = 5
NO_IMAGE: Final = "/img_0000000000000000"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_SECONDS)
        self.sock.connect(str(self.path))


def is_ready(path: Path) -> bool:
    """Whether the service on this Unix socket says that all it depends on answers."""
    return _status(_UnixConnection(path), "/readyz") == 200


def is_alive(path: Path) -> bool:
    """Whether the service, or the nginx, on this Unix socket answers, whatever has become of the others."""
    return _status(_UnixConnection(path), "/livez") == 200


def answers(port: int) -> bool:
    """Whether nginx passes requests on to the services behind it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    return _status(connection, NO_IMAGE) == 404


def _status(connection: http.client.HTTPConnection, path: str) -> int | None:
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
