"""Our own Redis: on a Unix socket only, with an append-only file that stays small."""

import socket
from pathlib import Path

from deploy.local import binaries
from deploy.local.state import State


def socket_path(state: State) -> Path:
    return state.run / "redis.sock"


def url(state: State) -> str:
    return f"unix://{socket_path(state)}"


def command(state: State) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(socket_path(state)),
        "unixsocketperm": "700",
        "dir": str(state.home / "redis"),
        "daemonize": "no",
        "save": "",
        "appendonly": "yes",
        "auto-aof-rewrite-min-size": "4mb",
        "maxmemory": "256mb",
        "maxmemory-policy": "volatile-ttl",
    }
    return [
        binaries.program("redis-server"),
        *(part for name, value in options.items() for part in (f"--{name}", value)),
    ]


def is_ready(state: State) -> bool:
    """Answers PING; while it loads its file it answers LOADING."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        try:
            connection.connect(str(socket_path(state)))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
