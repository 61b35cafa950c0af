"""Auth as it runs: uvicorn processes on Unix sockets, with a Redis and a PostgreSQL of their own."""

import contextlib
import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Final

import httpx2
import pytest

from libs.settings import Secret
from services.auth import admin
from services.auth.settings import AdminSettings
from tests.containers.servers import contained_postgres, contained_redis
from tests.servers import PostgresServer, RedisServer, short_folder

START_SECONDS: Final = 30
SECRETS: Final = "a-secret-of-the-tests-that-is-long-enough"

Environment = dict[str, str]


class AuthProcess:
    """One auth process, and a client that talks to it as nginx does."""

    def __init__(self, path: Path, environment: Environment, log: Path) -> None:
        self._log = log
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "--factory",
            "services.auth.app:main",
            "--uds",
            str(path),
        ]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command, "--no-access-log"],
                env=os.environ | environment,
                stdout=output,
                stderr=output,
            )
        self._url = "http://auth"
        self._socket = str(path)
        deadline = time.monotonic() + START_SECONDS
        while not _accepts(self._socket):
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"auth did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.02)

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncGenerator["Client"]:
        limits = httpx2.Limits(max_connections=None)
        transport = httpx2.AsyncHTTPTransport(uds=self._socket, limits=limits)
        async with httpx2.AsyncClient(transport=transport, base_url=self._url, timeout=START_SECONDS) as http:
            yield Client(http)

    def log(self) -> str:
        return self._log.read_text()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(START_SECONDS)


class Client:
    """Asks `/authorize` for nginx."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http

    async def authorize(
        self, key: str | None, *, method: str = "POST", path: str = "/v1/upload", request_id: str = "edge-1"
    ) -> httpx2.Response:
        headers = {
            "X-Original-Method": method,
            "X-Original-Path": path,
            "X-Request-Id": "public-1",
            "X-Edge-Request-Id": request_id,
        }
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        return await self.http.get("/authorize", headers=headers)

    async def metric(self, name: str) -> float:
        """A counter or gauge without labels."""
        text = (await self.http.get("/metrics")).text
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


class Admin:
    """The admin command in this process."""

    def __init__(self, settings: AdminSettings) -> None:
        self._settings = settings

    async def run(self, *words: str) -> tuple[str, str]:
        """What the command prints on standard output and on standard error."""
        output, notes = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(notes):
            await admin.run(self._settings, admin.parse_arguments(list(words)))
        return output.getvalue(), notes.getvalue()

    async def create_account(self, plan: str = "free") -> tuple[str, str, str]:
        """A new account: its id, its first key's id and that key."""
        output, notes = await self.run("create-account", "--name", "Ada", "--plan", plan)
        account_id, key_id = (line.split()[1] for line in notes.splitlines())
        return account_id, key_id, output.strip()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A container, where an engine answers."""
    with contained_redis() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A container, where an engine answers."""
    with contained_postgres() as server:
        yield server


@pytest.fixture
def database_name(postgres_server: PostgresServer) -> str:
    """A new and empty database."""
    return postgres_server.create_database()


@pytest.fixture
def environment(
    redis_server: RedisServer, postgres_server: PostgresServer, database_name: str
) -> Environment:
    return {
        "DATABASE_URL": postgres_server.url(database_name),
        "REDIS_URL": redis_server.url,
        "IDENTITY_SECRETS": SECRETS,
        # Exactness is what is tested; on a busy machine a round trip may take longer than the default.
        "REDIS_TIMEOUT_SECONDS": "0.5",
    }


@pytest.fixture
def command(environment: Environment) -> Admin:
    """The admin command on the test's own database."""
    return Admin(
        AdminSettings(
            database_url=Secret(environment["DATABASE_URL"]),
            redis_url=Secret(environment["REDIS_URL"]),
            database_timeout_seconds=10,
        )
    )


StartAuth = Callable[..., AuthProcess]


@pytest.fixture
def start_auth(environment: Environment) -> Iterator[StartAuth]:
    """Starts an auth process with the environment and what is given beside it."""
    with short_folder() as folder, contextlib.ExitStack() as stack:
        started = 0

        def start(**overrides: str) -> AuthProcess:
            nonlocal started
            started += 1
            files = folder / f"auth-{started}.sock", folder / f"auth-{started}.log"
            process = AuthProcess(files[0], environment | overrides, files[1])
            stack.callback(process.stop)
            return process

        yield start


@pytest.fixture
async def auth(start_auth: StartAuth) -> AsyncGenerator[Client]:
    async with start_auth().client() as client:
        yield client


def _accepts(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0
