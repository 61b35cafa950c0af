"""One nginx node as a container: renders the configuration, runs nginx, and tells it of its backends."""

import asyncio
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from deploy.nginx.backends import Address, Backends, resolve
from deploy.nginx.render import render
from deploy.nginx.settings import Base, EdgeSettings, Name
from libs.settings import Secret, load

START: Final = Path(__file__).with_name("nginx.sh")
SERVICES: Final = ("auth", "ingest", "transform")
MODULES: Final = ("ndk_http_module", "ngx_http_lua_module")
MODULES_DIR: Final = "/usr/lib/nginx/modules"
FORWARDED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
# What nobody asks for leaves the cache after 30 days, and nobody gets past a tombstone to ask.
TOMBSTONE_SECONDS: Final = 40 * 86400
PRUNE_SECONDS: Final = 3600
ACCESS_LOG_BYTES: Final = 20 * 1024 * 1024
ACCESS_LOG_SECONDS: Final = 86400  # what a node that is gone has left

Port = Annotated[int, Meta(ge=1, le=65535)]
Folder = Annotated[str, Meta(pattern="^/[A-Za-z0-9/._-]+$")]


class NodeSettings(EdgeSettings, frozen=True, kw_only=True, rename="upper"):
    """`*_host`: names of which each address is a process of the service, all on `service_port`.

    `access_logs_dir`: where this node also keeps its access log, in a file of its name, for services/traffic.
    """

    control_secret: Secret
    public_api_url: Base = "http://localhost:8080"
    public_cdn_url: Base = "http://localhost:8080"
    api_server_name: Name = "api.localhost"
    cdn_server_name: Name = "cdn.localhost"
    auth_host: Name = "auth"
    ingest_host: Name = "ingest"
    transform_host: Name = "transform"
    service_port: Port = 8000
    listen: str = "8080"
    control_listen: str = "8081"
    find_seconds: Annotated[float, Meta(ge=0.1, le=60)] = 1
    probe_timeout_seconds: Annotated[float, Meta(gt=0, le=10)] = 2
    run_dir: Folder = "/run/user-photos"
    cache_dir: Folder = "/var/cache/user-photos"
    temp_dir: Folder = "/var/tmp/user-photos"  # noqa: S108 ours, and not shared
    tombstones_dir: Folder = "/var/lib/user-photos/tombstones"
    log_dir: Folder = "/var/log/user-photos"
    access_logs_dir: Folder = "/var/log/nginx"

    @property
    def access_log(self) -> Path:
        return Path(self.access_logs_dir, f"{socket.gethostname()}.log")


def placeholders(settings: NodeSettings) -> dict[str, str]:
    return {
        **settings.placeholders(),
        "LISTEN": settings.listen,
        "CONTROL_LISTEN": settings.control_listen,
        "CONTROL_SECRET": settings.control_secret.reveal(),
        "PUBLIC_API_URL": settings.public_api_url,
        "PUBLIC_CDN_URL": settings.public_cdn_url,
        "API_SERVER_NAME": settings.api_server_name,
        "CDN_SERVER_NAME": settings.cdn_server_name,
        "RUN_DIR": settings.run_dir,
        "CACHE_DIR": settings.cache_dir,
        "TEMP_DIR": settings.temp_dir,
        "TOMBSTONES_DIR": settings.tombstones_dir,
        "LOG_DIR": settings.log_dir,
        "USER_DIRECTIVE": "",
        "MODULES": " ".join(f"load_module {MODULES_DIR}/{name}.so;" for name in MODULES),
        "NODE_ACCESS_LOG": f"access_log {settings.access_log} json buffer=64k flush=1s;",
        "UPSTREAMS": "found-upstreams",
        **{f"{service.upper()}_SERVERS": "" for service in SERVICES},
    }


class Finder:
    """Writes what it finds into `folder`, a file a service, where nginx reads it."""

    def __init__(self, settings: NodeSettings, folder: Path) -> None:
        hosts = {service: str(getattr(settings, f"{service}_host")) for service in SERVICES}
        self._backends = {
            service: Backends(partial(resolve, host, settings.service_port), settings.probe_timeout_seconds)
            for service, host in hosts.items()
        }
        self._folder = folder
        self._written: Mapping[str, tuple[Address, ...]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    async def find(self) -> None:
        found = await asyncio.gather(*(backends.find() for backends in self._backends.values()))
        now = dict(zip(self._backends, found, strict=True))
        for service, addresses in now.items():
            if addresses != self._written.get(service):
                self._write(service, addresses)
        self._written = now

    def _write(self, service: str, addresses: Iterable[Address]) -> None:
        new = self._folder / f".{service}"
        new.write_text("".join(f"{address.host} {address.port}\n" for address in addresses))
        new.replace(self._folder / service)
        log("backends", of=service, addresses=[f"{host}:{port}" for host, port in addresses])


def log(message: str, **fields: object) -> None:
    """One JSON object a line, as nginx's own."""
    line = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "service": "nginx", "message": message}
    sys.stdout.write(msgspec.json.encode(line | fields).decode() + "\n")
    sys.stdout.flush()


def prune(folder: Path, seconds: float, now: float) -> None:
    """Deletes the files of `folder` that have not been written to for so long."""
    for entry in os.scandir(folder):
        if now - entry.stat().st_mtime > seconds:
            Path(entry).unlink(missing_ok=True)  # another node may have been faster


def rotate(settings: NodeSettings, max_bytes: int = ACCESS_LOG_BYTES) -> None:
    """Moves an access log above `max_bytes` aside, over the one before it, and lets nginx open a new one."""
    log = settings.access_log
    with suppress(OSError, ValueError):  # nginx is only just starting, or the log is not there yet
        if log.stat().st_size > max_bytes:
            log.replace(log.with_name(f"{log.name}.1"))
            os.kill(int(Path(settings.run_dir, "nginx.pid").read_text()), signal.SIGUSR1)


async def run(settings: NodeSettings) -> int:
    """Until nginx ends; gives its status."""
    conf, run_dir = Path(settings.run_dir, "nginx"), Path(settings.run_dir)
    render(placeholders(settings), conf)
    finder = Finder(settings, run_dir / "backends")
    await finder.find()
    nginx = await asyncio.create_subprocess_exec(*command(settings, conf), process_group=0)
    for number in FORWARDED:
        asyncio.get_running_loop().add_signal_handler(number, nginx.send_signal, number)
    finding = asyncio.create_task(look_after(settings, finder))
    try:
        return await nginx.wait()
    finally:
        finding.cancel()


async def look_after(settings: NodeSettings, finder: Finder) -> None:
    pruned = -float(PRUNE_SECONDS)
    while True:
        if time.monotonic() - pruned > PRUNE_SECONDS:
            prune(Path(settings.tombstones_dir), TOMBSTONE_SECONDS, time.time())
            prune(Path(settings.access_logs_dir), ACCESS_LOG_SECONDS, time.time())
            pruned = time.monotonic()
        await asyncio.sleep(settings.find_seconds)
        await finder.find()
        rotate(settings)


def command(settings: NodeSettings, conf: Path) -> list[str]:
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin") or "nginx"
    folders = (settings.run_dir, settings.cache_dir, settings.tombstones_dir)
    return [
        "/bin/sh",
        str(START),
        *folders,
        nginx,
        "-e",
        "stderr",
        "-p",
        f"{conf}/",
        "-c",
        f"{conf}/nginx.conf",
    ]


if __name__ == "__main__":
    sys.exit(asyncio.run(run(load(NodeSettings))))
