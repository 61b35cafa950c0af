"""Traffic: nginx's counters for Prometheus, made of its access log. No request waits for it."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from prometheus_client import Gauge
from starlette.applications import Starlette

from libs.service import State, configure_logging, create_app
from libs.settings import load
from services.traffic.follow import Follower
from services.traffic.settings import Settings
from services.traffic.tally import Tally

UNREAD: Final = Gauge("access_log_unread_bytes", "Bytes of the access logs that have not been counted yet")
EVERY_SECONDS: Final = 1  # as often as nginx writes

log = logging.getLogger(__name__)


class NoAccessLog(Exception):
    """No file has the name that ACCESS_LOGS gives."""


def main() -> Starlette:
    """The service, by the environment's settings."""
    settings = load(Settings)
    configure_logging("traffic", settings.log_level)
    return build(settings)


def build(settings: Settings) -> Starlette:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[State]:
        follower = Follower(settings.access_logs)
        UNREAD.set_function(follower.unread_bytes)

        async def ready() -> None:
            if not follower.paths:
                raise NoAccessLog

        counting = asyncio.create_task(_count_for_ever(follower, Tally()))
        try:
            yield State(checks={"access_logs": ready})
        finally:
            counting.cancel()
            follower.close()

    return create_app([], lifespan)


async def _count_for_ever(follower: Follower, tally: Tally) -> None:
    while True:
        try:
            for lines in follower.chunks():
                tally.count(lines)
                await asyncio.sleep(0)  # whoever asks for the metrics meanwhile is answered
        except OSError:
            log.exception("an access log cannot be read")
        await asyncio.sleep(EVERY_SECONDS)
