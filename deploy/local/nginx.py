"""Renders deploy/nginx for this machine: `python -m deploy.local.nginx` checks the result with nginx -t."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from deploy.local import binaries
from deploy.local.errors import StartError
from deploy.local.settings import Settings
from deploy.local.state import FOLDERS, State
from deploy.nginx import errors

TEMPLATES: Final = Path(__file__).parents[1] / "nginx"
DASHBOARD: Final = Path(__file__).parents[2] / "dashboard"
START: Final = Path(__file__).with_name("nginx.sh")
PLACEHOLDER: Final = re.compile(r"\$\{([A-Z][A-Z_]*)\}")  # nginx's own variables are lower case


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
        "LISTEN": " ".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host in hosts()),
        "RUN_DIR": str(state.run),
        "CACHE_DIR": str(home / "cache"),
        "CACHE_SIZE": settings.cache_size,
        "CACHE_MIN_FREE": settings.cache_min_free,
        "CACHE_CONTROL": settings.cache_control,
        "TEMP_DIR": str(home / "tmp"),
        "TOMBSTONES_DIR": str(home / "tombstones"),
        "LOG_DIR": str(home / "log"),
        "API_SERVER_NAME": "api.localhost",
        "CDN_SERVER_NAME": "cdn.localhost",
        "DASHBOARD_SERVER_NAME": settings.dashboard_server_name,
        "DASHBOARD_DIR": str(DASHBOARD),
        "PUBLIC_API_URL": settings.api_url,
        "PUBLIC_CDN_URL": settings.cdn_url,
        "CONTROL_LISTEN": f"unix:{state.run}/control.sock",
        "CONTROL_SECRET": secret,
        "USER_DIRECTIVE": "user root;" if os.geteuid() == 0 else "",
        "WORKER_PROCESSES": settings.worker_processes,
        "REAL_IP": _real_ip(settings),
        **{f"{service.upper()}_SERVERS": _servers(paths) for service, paths in sockets.items()},
    }


def render(values: Mapping[str, str], target: Path) -> None:
    """Every template with its placeholders filled in, in the same tree below `target`.

    A line with ${LISTEN} comes once for each of the addresses, which are separated by spaces.
    """
    shutil.rmtree(target, ignore_errors=True)  # a file that is no longer made would still be included
    for template in sorted(TEMPLATES.rglob("*.conf")):
        text = "".join(_fill(line, values) for line in template.read_text().splitlines(keepends=True))
        rendered = target / template.relative_to(TEMPLATES)
        rendered.parent.mkdir(parents=True, exist_ok=True)
        rendered.write_text(text)
        rendered.chmod(0o600)


def _fill(line: str, values: Mapping[str, str]) -> str:
    if line.lstrip().startswith("#"):
        return line
    addresses = values["LISTEN"].split() if "${LISTEN}" in line else [""]
    return "".join(_substitute(line, {**values, "LISTEN": address}) for address in addresses)


def _substitute(line: str, values: Mapping[str, str]) -> str:
    return PLACEHOLDER.sub(lambda match: values[match[1]], line)


def command(state: State) -> list[str]:
    folders = (state.run, state.home / "cache", state.home / "tombstones")
    return ["/bin/sh", str(START), *map(str, folders), *_nginx(state.home / "nginx")]


def _nginx(folder: Path) -> list[str]:
    return [binaries.program("nginx"), "-e", "stderr", "-p", f"{folder}/", "-c", f"{folder}/nginx.conf"]


def _servers(paths: list[Path]) -> str:
    return "\n".join(f"server unix:{path} max_fails=0;" for path in paths)


def _real_ip(settings: Settings) -> str:
    """The client's address as trusted proxies say it, the last that is not one of theirs."""
    proxies = [proxy.strip() for proxy in settings.trusted_proxies.split(",") if proxy.strip()]
    if not proxies:
        return ""
    for proxy in proxies:
        try:
            ip_network(proxy)
        except ValueError as error:
            raise StartError(f"settings: TRUSTED_PROXIES: {error}") from error
    header = f"real_ip_header {settings.client_address_header};"
    return "\n".join([*(f"set_real_ip_from {proxy};" for proxy in proxies), header, "real_ip_recursive on;"])


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
