"""The ASGI shell of every service: request ids, JSON logs, metrics, health, errors."""

import asyncio
import logging
import re
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final, TypedDict

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest
from pythonjsonlogger.json import JsonFormatter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Lifespan, Message, Receive, Scope, Send

from libs import errors
from libs.errors import ApiError

Check = Callable[[], Awaitable[None]]
Handler = Callable[[Request[Any], Exception], Awaitable[Response]]

REQUESTS: Final = Counter("http_requests_total", "Requests answered", ["route", "method", "status"])
SECONDS: Final = Histogram(
    "http_request_seconds",
    "Seconds from the first byte in to the last byte out",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
DEPENDENCY_UP: Final = Gauge(
    "dependency_up", "1 where the dependency answered when these metrics were asked for", ["dependency"]
)
# A label that holds what a client sent has no end of values.
METHODS: Final = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
OTHER: Final = "other"
CHECK_SECONDS: Final = 2  # less than a scrape may take, so that a hung dependency hides no metric

DRAINING: Final = threading.Event()  # set when this process was asked to stop, and goes on for a while

REQUEST_ID: Final[ContextVar[str]] = ContextVar("request_id", default="-")
_CREDENTIAL: Final = re.compile(r"(up_live_|us_)[0-9A-Za-z_-]{8,}")
HEALTH_PATHS: Final = {"/livez", "/readyz", "/metrics"}

log = logging.getLogger("request")


class Degraded(Exception):
    """Raised by a check: the dependency is away, and the service does its work without it."""


class State(TypedDict):
    """What every service's lifespan yields: `checks` names each dependency and how to ask it."""

    checks: Mapping[str, Check]


class _RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = REQUEST_ID.get()
        return True


def configure_logging(service: str, level: str) -> None:
    """One JSON object a line on standard output, uvicorn's own lines included."""
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(_RequestIdFilter())
    handler.setFormatter(
        JsonFormatter(
            ["levelname", "name", "message", "request_id"],
            rename_fields={"levelname": "level", "name": "logger"},
            static_fields={"service": service},
            timestamp="time",
            json_serializer=_encode,
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def _encode(record: Any, **_: object) -> str:
    return msgspec.json.encode(record, enc_hook=str).decode()


class Observer:
    """Gives each request its id, one log line and its metrics."""

    def __init__(self, app: ASGIApp, templates: Mapping[object, str]) -> None:
        """`templates`: the path of each endpoint's route, such as /v1/images/{image_id}."""
        self.app = app
        self._templates = templates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in HEALTH_PATHS:
            await self.app(scope, receive, send)
            return
        REQUEST_ID.set(_header(scope, b"x-request-id") or "-")
        started = time.perf_counter()
        status = 500

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, observed)
        finally:
            self._record(scope, status, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        endpoint = scope.get("endpoint")
        route = self._templates.get(endpoint, OTHER)
        method = scope["method"] if scope["method"] in METHODS else OTHER
        REQUESTS.labels(route, method, status).inc()
        SECONDS.labels(route).observe(seconds)
        fields = {
            "route": route,
            "method": scope["method"],
            "path": mask(scope["path"]),
            "status": status,
            "milliseconds": round(seconds * 1000, 2),
        }
        log.info(getattr(endpoint, "__name__", "unknown"), extra=fields)


def mask(text: str) -> str:
    """Without what somebody put there who took an address for a place for keys."""
    return _CREDENTIAL.sub(r"\1…", text)


def _header(scope: Scope, name: bytes) -> str | None:
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return None


async def livez(_: Request) -> Response:
    """200; the body says whether to send new requests here."""
    return PlainTextResponse("draining" if DRAINING.is_set() else "ok")


async def readyz(request: Request[State]) -> Response:
    """200 where every dependency that the service needs answers, else 503; the body says which does not."""
    result: dict[str, str] = {}
    ready = not DRAINING.is_set()
    if not ready:
        result["process"] = "draining"
    for name, check in request.state["checks"].items():
        try:
            await check()
            result[name] = "ok"
        except Degraded:
            result[name] = "degraded"
        except Exception as error:
            result[name] = type(error).__name__
            ready = False
    return Response(msgspec.json.encode(result), 200 if ready else 503, media_type="application/json")


async def metrics(request: Request[State]) -> Response:
    """What this process has counted, and which dependencies answer it now."""
    checks = request.state["checks"]
    up = await asyncio.gather(*map(_is_up, checks.values()))
    for name, answered in zip(checks, up, strict=True):
        DEPENDENCY_UP.labels(name).set(answered)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _is_up(check: Check) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except Exception:
        return False
    return True


async def _http_error(_: Request, error: Exception) -> Response:
    """Starlette's own 404 and 405, in our form."""
    if not isinstance(error, HTTPException):
        raise TypeError from error
    problem = {404: errors.NOT_FOUND, 405: errors.METHOD_NOT_ALLOWED}.get(
        error.status_code, errors.INVALID_REQUEST
    )
    return ApiError(problem, headers=error.headers).response()


async def _defect(_: Request, error: Exception) -> Response:
    logging.getLogger("defect").error("unhandled", exc_info=error)
    return ApiError(errors.INTERNAL_ERROR).response()


def _templates(routes: Sequence[BaseRoute]) -> dict[object, str]:
    return {route.endpoint: route.path_format for route in routes if isinstance(route, Route)}


def create_app(
    routes: Sequence[BaseRoute], lifespan: Lifespan[Starlette], refuse: Handler = errors.handle
) -> Starlette:
    """A service: its `routes`, and the health and metrics that nginx never passes on.

    `refuse` answers an ApiError.
    """
    health = [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)]
    return Starlette(
        routes=[*health, *routes],
        lifespan=lifespan,
        middleware=[Middleware(Observer, templates=_templates(routes))],
        exception_handlers={ApiError: refuse, HTTPException: _http_error, Exception: _defect},
    )
