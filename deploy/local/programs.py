"""The processes of the stack, in the order in which they start; they stop in the opposite one."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from deploy.allocator import allocator
from deploy.local import nginx, postgres, readiness, redis
from deploy.local.settings import Settings
from deploy.local.state import State, as_postgres

CHECKOUT: Final = Path(__file__).parents[2]
DRAIN_SECONDS: Final = 30  # what uvicorn gives the requests in flight after SIGTERM


@dataclass(frozen=True, kw_only=True)
class Program:
    """One process; those of one `stage` start and stop together. `user` is a prefix that changes the user."""

    name: str
    stage: str
    command: list[str]
    ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"
    user: list[str] = field(default_factory=list)
    folder: Path = CHECKOUT


STAGES: Final = ("postgres", "redis", "services", "nginx")


def sockets(settings: Settings, state: State) -> dict[str, list[Path]]:
    """Of each service, one socket a process."""
    counts = {
        "auth": settings.auth_processes,
        "ingest": settings.ingest_processes,
        "transform": settings.transform_processes,
    }
    return {
        service: [state.run / f"{service}-{index}.sock" for index in range(count)]
        for service, count in counts.items()
    }


def environments(settings: Settings, state: State, secrets: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What each service is told, beyond what was in the environment of `make run`."""
    databases = {"DATABASE_URL": postgres.url(state)}
    identity = {"IDENTITY_SECRETS": secrets["IDENTITY_SECRETS"]}
    objects = {"OBJECTS_URL": settings.objects_url or f"file://{state.home}/objects"}
    bases = {"PUBLIC_API_URL": settings.api_url, "PUBLIC_CDN_URL": settings.cdn_url}
    processes = {"AUTH_PROCESSES": str(settings.auth_processes)}
    inner = {"INGEST_URL": f"unix:{state.run}/control.sock"}
    spool = {"SPOOL_DIR": str(state.home / "spool")}
    names = [f"unix:{state.run}/control.sock", *filter(None, [settings.edges])]
    edges = {"EDGES": ",".join(names), "CONTROL_SECRET": secrets["CONTROL_SECRET"]}
    return {
        "auth": databases
        | identity
        | processes
        | inner
        | {"REDIS_URL": redis.url(state), "SIGNUP": settings.signup},
        "ingest": databases | identity | objects | bases | spool | edges,
        "transform": objects,
    }


def programs(settings: Settings, state: State, secrets: Mapping[str, str]) -> list[Program]:
    listening = sockets(settings, state)
    told = environments(settings, state, secrets)
    services = [
        _service(service, path, told[service]) for service, paths in listening.items() for path in paths
    ]
    return [
        Program(
            name="postgres",
            stage="postgres",
            user=as_postgres(),
            command=postgres.command(state),
            ready=lambda: postgres.is_ready(state),
            stop_signal="INT",  # a fast shutdown: TERM waits for every client to leave
            folder=Path("/"),  # the postgres user may not be able to enter the checkout
        ),
        Program(
            name="redis",
            stage="redis",
            command=redis.command(state),
            ready=lambda: redis.is_ready(state),
        ),
        *services,
        Program(
            name="nginx",
            stage="nginx",
            command=nginx.command(state),
            ready=lambda: readiness.answers(settings.port),
        ),
    ]


def served(app: str, socket: Path) -> list[str]:
    """The command that serves an ASGI app, named by its factory, on a Unix socket."""
    return [
        *(sys.executable, "-m", "uvicorn", "--factory", app),
        *("--http", "libs.protocol:Protocol", "--uds", str(socket), "--no-access-log"),
        *("--timeout-keep-alive", "75"),
        *("--timeout-graceful-shutdown", str(DRAIN_SECONDS)),
    ]


def _service(service: str, socket: Path, environment: Mapping[str, str]) -> Program:
    return Program(
        name=socket.stem,
        stage="services",
        command=served(f"services.{service}.app:main", socket),
        ready=lambda: readiness.is_ready(socket),
        environment=allocator(service) | dict(environment),
    )
