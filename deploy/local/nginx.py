"""Renders deploy/nginx for this machine: `python -m deploy.local.nginx` checks the result with nginx -t."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deploy.local import binaries
from deploy.local.errors import StartError
from deploy.local.settings import Settings
from deploy.local.state import FOLDERS, State
from deploy.nginx import errors
from deploy.nginx.render import render as render  # for those that render a node of their own

START: Final = Path(__file__).parents[1] / "nginx" / "nginx.sh"


def hosts() -> list[str]:
    """The addresses of localhost: some clients (Node 18) try only the first, which may be ::1."""
    try:
        socket.getaddrinfo("localhost", None, socket.AF_INET6)
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return ["127.0.0.1"]
    return ["127.0.0.1", "::1"]


def placeholders(
    settings: Settings, state: State, sockets: Mapping[str, list[Path]], secret: str
) -> dict[str, str]:
    """What the templates leave open; `sockets` are those of each service."""
    home, port = state.home, settings.port
    return {
        **settings.placeholders(),
        "LISTEN": " ".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host in hosts()),
        "RUN_DIR": str(state.run),
        "CACHE_DIR": str(home / "cache"),
        "TEMP_DIR": str(home / "tmp"),
        "TOMBSTONES_DIR": str(home / "tombstones"),
        "LOG_DIR": str(home / "log"),
        "API_SERVER_NAME": "api.localhost",
        "CDN_SERVER_NAME": "cdn.localhost",
        "PUBLIC_API_URL": settings.api_url,
        "PUBLIC_CDN_URL": settings.cdn_url,
        "CONTROL_LISTEN": f"unix:{state.run}/control.sock",
        "CONTROL_SECRET": secret,
        "USER_DIRECTIVE": "user root;" if os.geteuid() == 0 else "",
        "MODULES": "",
        "NODE_ACCESS_LOG": "",
        "UPSTREAMS": "upstreams",
        **{f"{service.upper()}_SERVERS": _servers(paths) for service, paths in sockets.items()},
    }


def command(state: State) -> list[str]:
    folders = (state.run, state.home / "cache", state.home / "tombstones")
    return ["/bin/sh", str(START), *map(str, folders), *_nginx(state.home / "nginx")]


def _nginx(folder: Path) -> list[str]:
    return [binaries.program("nginx"), "-e", "stderr", "-p", f"{folder}/", "-c", f"{folder}/nginx.conf"]


def _servers(paths: list[Path]) -> str:
    return "\n".join(f"server unix:{path} max_fails=0;" for path in paths)


def check() -> int:
    """`nginx -t` on the templates as `make run` renders them; the generated ones have to be fresh."""
    stale = [name for name, make in errors.FILES.items() if (errors.SNIPPETS / name).read_text() != make()]
    if stale:
        raise StartError(f"deploy/nginx/snippets/{stale[0]} is not what libs/errors.py says: run make fmt")
    with tempfile.TemporaryDirectory(prefix="up-") as name:
        root = Path(name)
        for folder in (*FOLDERS, "run"):
            (root / folder).mkdir()
        state = State(root, root, root)
        sockets = {service: [root / f"{service}-0.sock"] for service in ("auth", "ingest", "transform")}
        render(placeholders(Settings(port=8080), state, sockets, "secret"), root / "nginx")
        return subprocess.run([*_nginx(root / "nginx"), "-t", "-q"], check=False).returncode


if __name__ == "__main__":
    try:
        sys.exit(check())
    except StartError as error:
        sys.exit(error.line)
