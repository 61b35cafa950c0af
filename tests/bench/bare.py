"""libvips in a loop on every core, no server: `python -m tests.bench.bare KIND FILE SECONDS TARGET`."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Final

os.environ["VIPS_CONCURRENCY"] = "1"

import msgspec
import pyvips

from libs.objects.folder import _read
from libs.pictures import Format, Rendition
from services.transform.render import SAVERS

CORES: Final = 2
QUALITY: Final = 85


class Loop(msgspec.Struct, frozen=True):
    """`renders` in `seconds`, at `cpu` seconds of processor."""

    renders: int
    seconds: float
    cpu: float


class Target(msgspec.Struct, frozen=True):
    """A variant: `height` None is in proportion."""

    width: int
    height: int | None
    format: Format


SQUARE: Final = Target(150, 150, Format.JPEG)
WIDE: Final = Target(400, None, Format.WEBP)


def bare(kind: str, file: Path, seconds: float, target: Target) -> tuple[float, float]:
    """Renders a second on all cores together, and milliseconds of processor a render.

    `kind` is "original" (a picture's file) or "master" (a rendition of the folder store).
    """
    command = [sys.executable, "-m", "tests.bench.bare", kind, str(file), str(seconds)]
    command += [msgspec.json.encode(target).decode()]
    processes = [Popen(command, stdout=PIPE) for _ in range(CORES)]
    loops = [msgspec.json.decode(process.communicate()[0], type=Loop) for process in processes]
    renders = sum(loop.renders for loop in loops)
    return sum(loop.renders / loop.seconds for loop in loops), sum(
        loop.cpu for loop in loops
    ) / renders * 1000


def main() -> None:
    kind, file, seconds, target = sys.argv[1:]
    pyvips.cache_set_max(0)
    render = renderer(kind, Path(file), msgspec.json.decode(target, type=Target))
    render()
    renders, started, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - started < float(seconds):
        render()
        renders += 1
    loop = Loop(renders, time.perf_counter() - started, time.process_time() - cpu)
    sys.stdout.write(msgspec.json.encode(loop).decode())


def renderer(kind: str, file: Path, target: Target) -> Callable[[], bytes]:
    """Renders `target` of `file`, whose bytes are in memory, with the settings of transform's encoders."""
    saver, options = SAVERS[target.format]
    options = options | {"keep": "none", "Q": QUALITY}
    size: dict[str, object] = {"height": target.height, "crop": "centre"} if target.height else {}
    if kind == "original":
        data = file.read_bytes()
        return lambda: saver(pyvips.Image.thumbnail_buffer(data, target.width, **size), **options)
    stored = _read(file)
    meta = Rendition.of(stored.meta)
    if meta.format == "raw":
        return lambda: saver(
            pyvips.Image.new_from_memory(stored.data, meta.width, meta.height, meta.bands, "uchar")
            .copy(interpretation="srgb")
            .thumbnail_image(target.width, **size),
            **options,
        )
    return lambda: saver(pyvips.Image.thumbnail_buffer(stored.data, target.width, **size), **options)


if __name__ == "__main__":
    main()
