"""All that one run needs, started once: our stack, its peers, the limits, the pictures."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import httpx2
import msgspec

from deploy.local.programs import CHECKOUT
from tests.bench import photos
from tests.bench.copies import Copies
from tests.bench.edge import Edge, running_edge, running_service
from tests.bench.peers import Peer, running_peers
from tests.bench.progress import say
from tests.e2e import calls
from tests.stack import Stack, discard

FOLDER: Final = CHECKOUT / "build" / "bench"


class Photo(msgspec.Struct, frozen=True):
    """A picture that all contenders have, ours as `image_id` and as further `copies`."""

    file: Path
    image_id: str
    copies: Copies


class Setting(msgspec.Struct, frozen=True):
    """`seconds`: how long one contender is driven at a time."""

    root: Path  # for what a part of the run leaves behind until its end
    stack: Stack
    key: str  # of an account without limits
    edge: Edge  # over a service that does nothing, and the stack's auth
    peers: list[Peer]
    photos: dict[str, Photo]  # "6 MP", "24 MP" and "avatar"
    seconds: int

    def peer(self, name: str) -> Peer:
        return next(peer for peer in self.peers if peer.name == name)

    def metric(self, program: str, name: str) -> float:
        """A counter's value, over all processes; `name` with or without labels."""
        total = 0.0
        for process in self.stack.names(program):
            transport = httpx2.HTTPTransport(uds=str(self.stack.state.run / f"{process}.sock"))
            with httpx2.Client(transport=transport, base_url="http://localhost") as inside:
                lines = inside.get("/metrics").text.splitlines()
            total += sum(
                float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{"))
            )
        return total


@contextmanager
def setting(seconds: int) -> Iterator[Setting]:
    """Everything started and every picture uploaded."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("LOG_LEVEL", "INFO")
    files = {"6 MP": photos.landscape(FOLDER), "24 MP": photos.large(FOLDER), "avatar": photos.avatar(FOLDER)}
    with ExitStack() as cleanup:
        root = Path(cleanup.enter_context(tempfile.TemporaryDirectory(dir=FOLDER)))
        say("starting thumbor and ipx")
        peers = cleanup.enter_context(running_peers(FOLDER))
        say("starting the stack")
        cleanup.callback(discard, root / "var")
        stack = Stack(root / "var")
        cleanup.callback(stack.stop)
        key = stack.create_account("unlimited")
        with calls.client(stack, key) as api:
            ours = {name: _uploaded(stack, api, file) for name, file in files.items()}
            thumbnail = api.get(f"/{ours['6 MP'].image_id}?w=150&h=150").content
        told = {"BODY_BYTES": str(len(thumbnail))}
        nothing = cleanup.enter_context(running_service(root / "nothing", "tests.bench.nothing:main", told))
        auth = sorted(stack.state.run.glob("auth-*.sock"))
        sockets = {"auth": auth, "ingest": nothing, "transform": nothing}
        edge = cleanup.enter_context(running_edge(root / "edge", sockets))
        yield Setting(root, stack, key, edge, peers, ours, seconds)


def _uploaded(stack: Stack, api: httpx2.Client, file: Path) -> Photo:
    image_id = calls.upload(api, file.read_bytes())["image_id"]
    return Photo(file, image_id, Copies(stack.state.home / "objects", image_id))
