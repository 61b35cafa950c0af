"""Which rendition a variant is made from, and how often the store is asked."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from libs.objects import Stored
from libs.pictures import FULL, Format, Rendition, rendition_name, rungs
from services.transform.masters import Masters
from services.transform.options import Options

pytestmark = pytest.mark.anyio

ID = "img_0123456789abcdef"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Store:
    """An object store in memory that keeps a list of what it was asked for."""

    def __init__(self, width: int, height: int, names: Sequence[str] | None = None) -> None:
        self.asked: list[str] = []
        sizes = {rung.name: (w, h) for rung, w, h in rungs(width, height)} | {FULL: (width, height)}
        self.objects = {
            rendition_name(ID, name): Stored(
                bytes(10),
                Rendition(
                    width=size[0],
                    height=size[1],
                    bands=3,
                    format="raw",
                    full_width=width,
                    full_height=height,
                    uploaded=Format.JPEG,
                ).meta(),
            )
            for name, size in sizes.items()
            if names is None or name in names
        }

    async def get(self, name: str) -> Stored | None:
        self.asked.append(name.rsplit("/", 1)[-1])
        return self.objects.get(name)

    async def head(self, name: str) -> dict[str, str] | None:
        stored = self.objects.get(name)
        return stored.meta if stored else None

    async def put(self, name: str, data: bytes | Path, meta: Mapping[str, str]) -> None:
        raise NotImplementedError

    async def delete(self, names: Sequence[str]) -> int:
        raise NotImplementedError

    async def ready(self) -> None: ...


async def asked(store: Store, *options: Options) -> list[str]:
    masters = Masters(store, 10_000_000, 30)
    for one in options:
        assert await masters.choose(ID, one)
    return store.asked


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (Options(150, 150), "320"),
        (Options(256), "320"),
        (Options(300), "512"),
        (Options(None, 400), "512"),
        (Options(800, 800), "1280"),
        (Options(2000), FULL),
        (Options(), FULL),
        (Options(format=Format.PNG), FULL),
        (Options(None, 256), "320"),
    ],
)
async def test_a_cold_variant_of_a_large_picture_costs_one_fetch(options: Options, name: str) -> None:
    assert await asked(Store(2725, 2225), options) == [name]
    assert await asked(Store(2225, 2725), options) == [name]


async def test_a_second_size_of_the_same_picture_is_not_fetched_again() -> None:
    assert await asked(Store(2725, 2225), Options(150, 150), Options(64), Options(200)) == ["320"]


async def test_a_variant_has_one_master_whatever_was_fetched_before() -> None:
    assert await asked(Store(2725, 2225), Options(400), Options(150)) == ["512", "320"]


async def test_a_smaller_master_in_memory_does_not_serve_a_larger_size() -> None:
    assert await asked(Store(2725, 2225), Options(150), Options(400)) == ["320", "512"]


async def test_a_small_picture_is_enlarged_from_its_pixels() -> None:
    assert await asked(Store(200, 100), Options(150)) == ["320"]
    assert await asked(Store(200, 100), Options(600)) == ["1280", FULL, "320"]


async def test_a_long_picture_has_no_rungs_and_is_rendered_from_full() -> None:
    assert await asked(Store(6000, 400), Options(150)) == ["320", FULL]


async def test_a_picture_stored_under_another_ladder_still_renders() -> None:
    store = Store(2725, 2225, [FULL])
    assert await asked(store, Options(150)) == ["320", FULL, "320"]


async def test_what_is_not_there_is_not_there() -> None:
    masters = Masters(Store(10, 10, []), 1000, 30)
    assert await masters.choose(ID, Options(150)) is None
    assert not await masters.exists(ID)
