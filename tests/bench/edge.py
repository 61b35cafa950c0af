"""The same nginx over other things: a static file, and a service that does nothing."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from deploy.local import nginx
from deploy.local.settings import Settings
from deploy.local.state import FOLDERS, State
from tests.bench.processes import running, wait_for_port
from tests.stack import free_port, wait_for

PROCESSES: Final = 2

# The headers, the log and the tuning of the CDN's location, on files instead of a cache.
STATIC: Final = """
server {{
    listen 127.0.0.1:{port};
    location / {{
        set $image_id "";
        root {folder};
        default_type image/jpeg;
        include snippets/cdn-headers.conf;
        add_header Cache-Tag img_0123456789abcdef;
        add_header Surrogate-Key img_0123456789abcdef;
        add_header X-Cache HIT;
    }}
}}
"""


class Edge(msgspec.Struct, frozen=True):
    """`port` passes pictures to the service that does nothing; `static_port` serves the files of `folder`."""

    port: int
    static_port: int
    folder: Path


@contextmanager
def running_edge(root: Path, body_bytes: int) -> Iterator[Edge]:
    """An nginx of its own below `root`; what does nothing answers with `body_bytes` bytes."""
    for name in (*FOLDERS, "run", "files"):
        (root / name).mkdir(parents=True, exist_ok=True)
    edge = Edge(free_port(), free_port(), root / "files")
    state = State(root, root, root)
    sockets = {service: [root / "run" / f"{service}.sock"] for service in ("auth", "ingest")}
    sockets["transform"] = [root / "run" / f"nothing-{index}.sock" for index in range(PROCESSES)]
    nginx.render(nginx.placeholders(Settings(port=edge.port), state, sockets, "secret"), root / "nginx")
    site = STATIC.format(port=edge.static_port, folder=edge.folder)
    (root / "nginx" / "sites" / "static.conf").write_text(site)
    with ExitStack() as stack:
        for path in sockets["transform"]:
            path.unlink(missing_ok=True)
            command = [sys.executable, "-m", "uvicorn", "--factory", "tests.bench.nothing:main", "--uds", str(path)]
            command += ["--no-access-log", "--timeout-keep-alive", "75", "--log-level", "warning"]
            environment = {**os.environ, "BODY_BYTES": str(body_bytes)}
            stack.enter_context(running(command, root / "log" / "nothing.log", environment))
            wait_for(path.exists)
        stack.enter_context(running(nginx.command(state), root / "log" / "nginx.log", os.environ))
        wait_for_port(edge.static_port)
        yield edge
