"""Runs the service that SERVICE names, for nginx to reach: `python -m deploy.container.serve`."""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Annotated, Final, Literal

import uvicorn
from msgspec import Meta, Struct

from deploy.allocator import allocator
from libs.service import DRAINING
from libs.settings import load

ALLOCATED: Final = "ALLOCATOR_IS_SET"  # malloc reads its settings once, before Python runs
DRAIN_SECONDS: Final = 30  # for the requests in flight, after the notice
KEEP_ALIVE_SECONDS: Final = 75  # longer than nginx keeps an idle connection


class ServeSettings(Struct, frozen=True, kw_only=True, rename="upper"):
    """`drain_notice_seconds`: how long after SIGTERM it goes on as before, only that /livez says `draining`.

    It is what nginx needs to send new requests elsewhere before connections are refused.
    """

    service: Literal["auth", "ingest", "transform", "traffic"]
    service_port: Annotated[int, Meta(ge=1, le=65535)] = 8000
    drain_notice_seconds: Annotated[float, Meta(ge=0, le=60)] = 0


class Server(uvicorn.Server):
    """Gives notice before it stops."""

    def __init__(self, config: uvicorn.Config, notice_seconds: float) -> None:
        super().__init__(config)
        self._notice_seconds = notice_seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig != signal.SIGTERM or DRAINING.is_set() or not self.started:
            super().handle_exit(sig, frame)
            return
        DRAINING.set()
        timer = threading.Timer(self._notice_seconds, super().handle_exit, (sig, frame))
        timer.daemon = True
        timer.start()


def main() -> int:
    settings = load(ServeSettings)
    if ALLOCATED not in os.environ:
        settle = {**allocator(settings.service), ALLOCATED: "1"}
        command = [sys.executable, "-m", "deploy.container.serve"]
        os.execve(sys.executable, command, os.environ | settle)  # noqa: S606
    config = uvicorn.Config(
        f"services.{settings.service}.app:main",
        factory=True,
        host="0.0.0.0",  # noqa: S104 the network of the container is the wall
        port=settings.service_port,
        http="libs.protocol:Protocol",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    server = Server(config, settings.drain_notice_seconds)
    server.run()
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
