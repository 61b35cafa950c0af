"""Attackers in a process of their own, so that what they cost themselves does not slow who is measured."""

import contextlib
import multiprocessing
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Final, NamedTuple

import httpx2

from services.auth.keys import new_key
from tests.faults import siege
from tests.faults.load import Load, outcome
from tests.stack import Stack

CLIENTS: Final = 4
NICENESS: Final = 10  # theirs would be other machines: here they get what the stack and its clients leave

Attack = Callable[[httpx2.Client, int, list[bytes]], httpx2.Response]


class Target(NamedTuple):
    """All that a client needs to know of a stack."""

    base_url: str


def hostile_picture(client: httpx2.Client, number: int, bodies: list[bytes]) -> httpx2.Response:
    return siege.send(client, bodies[number % len(bodies)])


def unknown_key(client: httpx2.Client, _: int, __: list[bytes]) -> httpx2.Response:
    return client.get("/v1/images", headers={"Authorization": f"Bearer {new_key()}"})


def random_id(client: httpx2.Client, _: int, __: list[bytes]) -> httpx2.Response:
    return client.get(f"/img_{secrets.token_hex(8)}?w=200")


@contextlib.contextmanager
def attacking(
    stack: Stack, attack: Attack, key: str | None = None, bodies: list[Path] | None = None
) -> Iterator[Counter[str]]:
    """As many requests as CLIENTS can make while the block runs; once it has ended, what they got."""
    context = multiprocessing.get_context("spawn")
    begun, stop, results = context.Event(), context.Event(), context.Queue()
    arguments = (stack.base_url, attack, key, bodies or [], begun, stop, results)
    process = context.Process(target=_run, args=arguments, daemon=True)
    process.start()
    found: Counter[str] = Counter()
    try:
        assert begun.wait(120)
        yield found
    finally:
        stop.set()
        found.update(results.get(timeout=120))
        process.join(30)


def _run(
    base_url: str,
    attack: Attack,
    key: str | None,
    paths: list[Path],
    begun: Event,
    stop: Event,
    results: "multiprocessing.Queue[Counter[str]]",
) -> None:
    os.nice(NICENESS)
    bodies = [path.read_bytes() for path in paths]

    def ask(client: httpx2.Client, number: int) -> str:
        return outcome(attack(client, number, bodies))

    load = Load(Target(base_url), ask, key=key, clients=CLIENTS)
    with load.running():
        begun.set()
        stop.wait()
    results.put(load.outcomes)
