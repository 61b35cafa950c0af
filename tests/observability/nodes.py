"""An nginx node that accepts connections and never answers."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.stack import free_port


class HangingNode:
    """Refuses connections, but for as long as `hangs` runs."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    @contextmanager
    def hangs(self) -> Iterator[None]:
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", self.port))
            listener.listen(128)
            yield
