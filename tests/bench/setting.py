"""All that one run needs, started once: our stack, its peers, the limits, and the pictures under many names."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import httpx2
import msgspec

from tests.bench import photos
from tests.bench.copies import Copies
from tests.bench.edge import Edge, running_edge
from tests.bench.peers import Peer, running_peers
from tests.e2e import calls
from tests.stack import CHECKOUT, Stack, discard

FOLDER: Final = CHECKOUT / "build" / "bench"


class Photo(msgspec.Struct, frozen=True):
    """A picture that all contenders have, ours as `image_id` and as further `copies`."""

    file: Path
    image_id: str
    copies: Copies


class Setting(msgspec.Struct, frozen=True):
    """`seconds`: how long one contender is driven at a time."""

    stack: Stack
    key: str  # of an account without limits
    edge: Edge
    peers: list[Peer]
    photos: dict[str, Photo]  # "6 MP", "24 MP" and "avatar"
    seconds: int

    def peer(self, name: str) -> Peer:
        return next(peer for peer in self.peers if peer.name == name)


@contextmanager
def setting(seconds: int) -> Iterator[Setting]:
    """Everything started and every picture uploaded."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("LOG_LEVEL", "INFO")
    files = {"6 MP": photos.landscape(), "24 MP": photos.large(FOLDER), "avatar": photos.avatar(FOLDER)}
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
        edge = cleanup.enter_context(running_edge(root / "edge", len(thumbnail)))
        yield Setting(stack, key, edge, peers, ours, seconds)


def _uploaded(stack: Stack, api: httpx2.Client, file: Path) -> Photo:
    image_id = calls.upload(api, file.read_bytes())["image_id"]
    return Photo(file, image_id, Copies(stack.state.home / "objects", image_id))


def say(what: str) -> None:
    """Progress, which is not the result."""
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)
