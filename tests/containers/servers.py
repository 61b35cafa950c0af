"""Redis and PostgreSQL as containers, with all the handles of the plain processes of tests/servers.py."""

import contextlib
import subprocess
from collections.abc import Iterator
from typing import Any, Final

from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from tests import servers
from tests.containers.images import engine_answers, image_name, provide_images
from tests.faults.nodes import port_to_keep
from tests.stack import wait_for

HOST: Final = "127.0.0.1"
USER: Final = "postgres"


class Contained:
    """A container on a port of its own, which it keeps when it is killed and started again."""

    def __init__(self, service: str, port: int, command: str, **environment: str) -> None:
        provide_images(service)
        # Its reaper is an image that cannot be had everywhere; ours are removed when the block ends.
        testcontainers_config.ryuk_disabled = True
        self.port = port_to_keep()
        self._made = DockerContainer(image_name(service)).with_command(command)
        # Its with_bind_ports would open the port on every address of this machine.
        self._made.ports = {f"{port}/tcp": (HOST, self.port)}  # type: ignore[dict-item]
        for name, value in environment.items():
            self._made.with_env(name, value)

    @property
    def _container(self) -> Any:
        return self._made.get_wrapped_container()

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self) -> None:
        self._made.start()
        wait_for(self.answers, servers.START_SECONDS)

    def close(self) -> None:
        """Removes it."""
        self._made.stop()

    def execute(self, *command: str) -> str:
        """What a command prints in the container; CalledProcessError where it fails."""
        status, output = self._container.exec_run(list(command), demux=True)
        if status:
            raise subprocess.CalledProcessError(status, command, *output)
        return (output[0] or b"").decode().strip()

    @contextlib.contextmanager
    def gone(self) -> Iterator[None]:
        """Killed for as long as the block runs."""
        self._container.kill()
        self._container.wait()
        try:
            yield
        finally:
            self._container.start()
            wait_for(self.answers, servers.START_SECONDS)

    @contextlib.contextmanager
    def hung(self) -> Iterator[None]:
        """Accepts connections and answers nothing for as long as the block runs."""
        self._container.pause()
        try:
            yield
        finally:
            self._container.unpause()


class ContainedRedis(Contained, servers.RedisServer):
    def __init__(self) -> None:
        super().__init__("redis", 6379, "redis-server --save '' --appendonly no --protected-mode no")
        self.url = f"redis://{HOST}:{self.port}/0"

    def answers(self) -> bool:
        with contextlib.suppress(subprocess.CalledProcessError):
            return self.cli("PING") == "PONG"
        return False

    def cli(self, *words: str) -> str:
        return self.execute("redis-cli", *words)


class ContainedPostgres(Contained, servers.PostgresServer):
    def __init__(self) -> None:
        command = "postgres -c fsync=off -c max_connections=100 -c shared_buffers=16MB"
        super().__init__("postgres", 5432, command, POSTGRES_PASSWORD="test")

    def initialise(self) -> None:
        """The image does, at the first start."""

    def answers(self) -> bool:
        with contextlib.suppress(subprocess.CalledProcessError):
            # Over the network: while the image initialises, only the socket is open.
            return self.execute("pg_isready", "-h", HOST, "-U", USER) != ""
        return False

    def url(self, database: str) -> str:
        return f"postgresql://{USER}:test@{HOST}:{self.port}/{database}"

    def psql(self, database: str, statement: str) -> str:
        return self.execute("psql", "-U", USER, "-d", database, "-XAtqc", statement)


@contextlib.contextmanager
def contained_redis() -> Iterator[servers.RedisServer]:
    """In a container where an engine answers, else as a plain process."""
    if not engine_answers():
        with servers.running_redis() as process:
            yield process
        return
    with contextlib.closing(ContainedRedis()) as container:
        container.start()
        yield container


@contextlib.contextmanager
def contained_postgres() -> Iterator[servers.PostgresServer]:
    """In a container where an engine answers, else as a plain process."""
    if not engine_answers():
        with servers.running_postgres() as process:
            yield process
        return
    with contextlib.closing(ContainedPostgres()) as container:
        container.start()
        yield container
