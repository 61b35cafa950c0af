"""The same nginx over other things: static files, services that do nothing, or a transform of its own."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from deploy.local import nginx
from deploy.local.programs import served
from deploy.local.settings import Settings
from deploy.local.state import FOLDERS, State
from tests.bench.processes import running, wait_for_port
from tests.stack import free_port, wait_for

PROCESSES: Final = 2
SERVICES: Final = ("auth", "ingest", "transform")

# `/open/` is the API without asking auth. The rest are files, with the headers, log and tuning of pictures.
EXTRA: Final = """
server {{
    listen 127.0.0.1:{port};
    location /open/ {{
        include snippets/proxy.conf;
        include snippets/api-headers.conf;
        proxy_pass http://ingest/;
    }}
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
    """`port` is the whole of our configuration; `extra_port` has the files of `folder`, and `/open/`."""

    port: int
    extra_port: int
    folder: Path


@contextmanager
def running_edge(root: Path, sockets: Mapping[str, Sequence[Path]]) -> Iterator[Edge]:
    """An nginx of its own below `root`, over these services; a service that is not named is not there."""
    for name in (*FOLDERS, "run", "files"):
        (root / name).mkdir(parents=True, exist_ok=True)
    edge = Edge(free_port(), free_port(), root / "files")
    state = State(root, root, root)
    servers = {service: list(sockets.get(service, [root / "run" / "nothing.sock"])) for service in SERVICES}
    nginx.render(nginx.placeholders(Settings(port=edge.port), state, servers, "secret"), root / "nginx")
    site = EXTRA.format(port=edge.extra_port, folder=edge.folder)
    (root / "nginx" / "sites" / "extra.conf").write_text(site)
    with running(nginx.command(state), root / "log" / "nginx.log", os.environ):
        wait_for_port(edge.extra_port)
        yield edge


@contextmanager
def running_service(root: Path, app: str, environment: Mapping[str, str]) -> Iterator[list[Path]]:
    """The sockets of an ASGI app, one for each of its processes, started as `make run` starts a service."""
    root.mkdir(parents=True, exist_ok=True)
    paths = [root / f"{index}.sock" for index in range(PROCESSES)]
    with ExitStack() as stack:
        for path in paths:
            stack.enter_context(running(served(app, path), root / "log", {**os.environ, **environment}))
        for path in paths:
            wait_for(path.exists)
        yield paths
