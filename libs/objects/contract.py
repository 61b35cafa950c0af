"""What a store of objects promises, whichever it is."""

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from prometheus_client import Histogram

from libs.errors import Unavailable
from libs.metrics import counter

FAILURES: Final = counter(
    "objects_failures_total",
    "Calls of the object store that failed or ran out of time",
    operation=("put", "get", "head", "delete", "ready"),
)
SECONDS: Final = Histogram(
    "objects_seconds",
    "Seconds of one call of the object store, failures included",
    ["operation"],
    buckets=(0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)

# kind/id or kind/id/name, where no part begins with a dot: no name leaves the folder or the bucket.
NAME: Final = re.compile(r"[a-z]+/[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)?")
MAX_NAME_LENGTH: Final = 128
META_KEY: Final = re.compile(r"[a-z]+(_[a-z]+)*")
META_VALUE: Final = re.compile(r"[!-~]([ -~]*[!-~])?")
MAX_META_BYTES: Final = 1024  # S3 refuses more than 2 KB of keys and values

log = logging.getLogger(__name__)


class ObjectsUnavailable(Unavailable):
    """The store is down, slow, refuses, or has a part of an object only."""


class Stored(NamedTuple):
    """An object: all of its bytes, and the metadata that was put with them."""

    data: bytes
    meta: dict[str, str]


class Objects(Protocol):
    """Every call ends within OBJECTS_TIMEOUT_SECONDS or raises ObjectsUnavailable.

    Names are `kind/id` or `kind/id/name` in the characters of NAME. Metadata is a few short strings of
    printable ASCII under snake_case keys. Either being otherwise is a ValueError.
    """

    async def put(self, name: str, data: bytes | Path, meta: Mapping[str, str]) -> None:
        """Store `data`, or the bytes of that file, under `name`; readers see the old or the new, whole.

        After ObjectsUnavailable the object may be there nevertheless: delete the name.
        """

    async def get(self, name: str) -> Stored | None:
        """The object, or None where there is none."""

    async def head(self, name: str) -> dict[str, str] | None:
        """The object's metadata, or None where there is none."""

    async def delete(self, names: Sequence[str]) -> int:
        """Delete what is there of `names` and say how many were."""

    async def ready(self) -> None:
        """Raises ObjectsUnavailable where the store does not answer."""


def check_name(name: str) -> str:
    if len(name) > MAX_NAME_LENGTH or not NAME.fullmatch(name):
        raise ValueError(f"not a name of an object: {name!r}")
    return name


def check_meta(meta: Mapping[str, str]) -> dict[str, str]:
    for key, value in meta.items():
        if not META_KEY.fullmatch(key) or not META_VALUE.fullmatch(value):
            raise ValueError(f"not metadata: {key!r}: {value!r}")
    if sum(map(len, (*meta.keys(), *meta.values()))) > MAX_META_BYTES:
        raise ValueError("too much metadata")
    return dict(meta)


@contextlib.asynccontextmanager
async def bounded(
    operation: str, timeout_seconds: float, failures: tuple[type[Exception], ...]
) -> AsyncGenerator[None]:
    """A call of the store: ended after its time, measured; `failures` become ObjectsUnavailable, counted.

    `failures` holds OSError, for it is what a TimeoutError is.
    """
    started = time.perf_counter()
    try:
        async with asyncio.timeout(timeout_seconds):
            yield
    except failures as error:
        FAILURES.labels(operation).inc()
        log.warning("object store failed", extra={"operation": operation, "reason": repr(error)})
        raise ObjectsUnavailable from error
    finally:
        SECONDS.labels(operation).observe(time.perf_counter() - started)
