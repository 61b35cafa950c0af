"""Masters: the renditions that variants are rendered from, fetched once and kept for seconds."""

from typing import Final

import msgspec
from prometheus_client import Gauge

from libs.metrics import counter
from libs.objects import Objects
from libs.pictures import FULL, LADDER, Rendition, best_rung, likely_rung, rendition_name
from services.transform.flight import Flight
from services.transform.memory import Memory
from services.transform.options import Options, Output, resolve

MASTERS: Final = counter(
    "masters_total", "Masters asked for, by where they came from", source=("memory", "store")
)
MASTERS_BYTES: Final = Gauge("masters_bytes", "Bytes of masters in memory")
MASTERS_BYTES_LIMIT: Final = Gauge("masters_bytes_limit", "Bytes of masters that memory may hold")
ENTRY_BYTES: Final = 1000  # what an entry weighs besides its pixels, generously

NAMES: Final = (*(rung.name for rung in LADDER), FULL)  # from the smallest to the largest


class Master(msgspec.Struct, frozen=True):
    """A rendition: its bytes, and what rode with them."""

    data: bytes
    meta: Rendition


class Fetched(msgspec.Struct, frozen=True):
    """`fresh`: the store was asked for it after the request had come, so the picture is not deleted."""

    master: Master
    fresh: bool


class Named(msgspec.Struct, frozen=True):
    """The rendition of that name."""

    name: str
    fetched: Fetched


class Choice(msgspec.Struct, frozen=True):
    """A master, and what to render of it: None where it is served as it is."""

    master: Master
    output: Output | None
    fresh: bool


class Masters:
    """Knows which rendition a variant is best rendered from, and has the lately used in memory."""

    def __init__(self, objects: Objects, max_bytes: int, seconds: float) -> None:
        self._objects = objects
        self._flight: Flight[tuple[str, str], Master | None] = Flight()
        self._memory: Memory[tuple[str, str], Master] = Memory(max_bytes, seconds, _weigh)
        MASTERS_BYTES.set_function(self._memory.weight)
        MASTERS_BYTES_LIMIT.set(max_bytes)

    async def exists(self, image_id: str) -> bool:
        return await self._objects.head(rendition_name(image_id, FULL)) is not None

    async def choose(self, image_id: str, options: Options) -> Choice | None:
        """What to serve for these options; None where there is no such picture.

        Raises INVALID_PARAMETER where the output would be too large.
        """
        first = self._remembered(image_id) or await self._first(image_id, options)
        if first is None:
            return None
        meta = first.fetched.master.meta
        output = resolve(options, meta)
        name = best_rung(meta.full_width, meta.full_height, options.longer_side) if output else FULL
        if name == first.name:
            fetched: Fetched | None = first.fetched
        else:
            # Always the same one, whatever is in memory: a strong validator promises the same bytes.
            # A picture that was stored under another ladder has its full rendition all the same.
            fetched = await self._get(image_id, name) or await self._get(image_id, FULL)
        return Choice(fetched.master, output, fetched.fresh) if fetched else None

    async def _first(self, image_id: str, options: Options) -> Named | None:
        """The likeliest rendition of a picture of unknown size: mostly the only one that is fetched."""
        for name in dict.fromkeys((likely_rung(options.longer_side), FULL)):
            if fetched := await self._get(image_id, name):
                return Named(name, fetched)
        return None

    def _remembered(self, image_id: str) -> Named | None:
        for name in NAMES:
            if master := self._memory.get((image_id, name)):
                MASTERS.labels("memory").inc()
                return Named(name, Fetched(master, fresh=False))
        return None

    async def _get(self, image_id: str, name: str) -> Fetched | None:
        key = image_id, name
        master = self._memory.get(key)
        MASTERS.labels("memory" if master else "store").inc()
        if master:
            return Fetched(master, fresh=False)
        master, fresh = await self._flight.do(key, lambda: self._fetch(image_id, name))
        return Fetched(master, fresh) if master else None

    async def _fetch(self, image_id: str, name: str) -> Master | None:
        stored = await self._objects.get(rendition_name(image_id, name))
        if stored is None:
            return None
        master = Master(stored.data, Rendition.of(stored.meta))
        self._memory.put((image_id, name), master)
        return master


def _weigh(master: Master) -> int:
    return len(master.data) + ENTRY_BYTES
