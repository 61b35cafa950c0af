"""Pixels: from a master, which ingest wrote, to one variant. Runs in threads; libvips releases the GIL."""

import os
from collections.abc import Callable
from math import ceil
from typing import Final

# libvips reads these once, when it is loaded by the import below.
os.environ.setdefault("VIPS_CONCURRENCY", "1")  # a render is one thread: there are many of them
os.environ.setdefault("VIPS_BLOCK_UNTRUSTED", "1")

import pyvips

from libs.pictures import MAX_OUTPUT_PIXELS, Format, Rendition
from services.transform.masters import Master
from services.transform.options import Output

Step = Callable[[pyvips.Image, Output], pyvips.Image]

CROP_MARGIN: Final = 8  # pixels of a master around what a crop needs, for the resampling kernel
OPERATIONS_BYTES: Final = 100_000  # what a pipeline weighs besides its pixels, generously
LOADERS: Final = {
    Format.JPEG.value: pyvips.Image.jpegload_buffer,
    Format.PNG.value: pyvips.Image.pngload_buffer,
    Format.WEBP.value: pyvips.Image.webpload_buffer,
}
SAVERS: Final[dict[Format, tuple[Callable[..., bytes], dict[str, object]]]] = {
    Format.JPEG: (pyvips.Image.jpegsave_buffer, {"optimize_coding": True}),
    Format.PNG: (pyvips.Image.pngsave_buffer, {"compression": 6}),
    Format.WEBP: (pyvips.Image.webpsave_buffer, {"effort": 2}),
}


def prepare() -> None:
    """Once, before the first render."""
    if not pyvips.API_mode:
        raise RuntimeError("pyvips is not in API mode: install pyvips[binary]")
    pyvips.cache_set_max(0)  # no two renders are alike: single flight saw to it
    # pyvips hands every message of libvips to Python's logging, debugging ones too, and takes the GIL for
    # each in the middle of an operation: 0.5 ms of a thumbnail. Its warnings go to standard error instead.
    pyvips._remove_log_handler()


def render(master: Master, output: Output) -> bytes:
    """The variant's bytes. Raises pyvips.Error only for a defect: masters are ours."""
    return encode(scaled(open_master(master, output), output), output)


def open_master(master: Master, output: Output) -> pyvips.Image:
    meta = master.meta
    if meta.format == "raw":
        return open_raw(master.data, meta)
    options: dict[str, object] = {"access": "sequential"}
    if meta.format == Format.JPEG:
        # Decoding to 1/2, 1/4 or 1/8 costs a fraction; libvips keeps a factor of two for the resize after it.
        options["shrink"] = _shrink_on_load(
            min(meta.width / output.scaled_width, meta.height / output.scaled_height)
        )
    return LOADERS[meta.format](master.data, **options)


def open_raw(pixels: bytes | bytearray, meta: Rendition) -> pyvips.Image:
    image = pyvips.Image.new_from_memory(pixels, meta.width, meta.height, meta.bands, "uchar")
    # Three bands of bytes are taken for sRGB as they are; a fourth has to be known as alpha.
    return image if meta.bands == 3 else image.copy(interpretation="srgb")


def _shrink_on_load(shrink: float) -> int:
    return next((factor for factor in (8, 4, 2) if shrink >= factor * 2), 1)


def reach(image: pyvips.Image, output: Output) -> pyvips.Image:
    """Only what the crop will show, where a long picture scaled to cover would be vast."""
    if output.scaled_width * output.scaled_height <= MAX_OUTPUT_PIXELS:
        return image
    width = _reach(image.width, output.width, output.scaled_width)
    height = _reach(image.height, output.height, output.scaled_height)
    return image.crop((image.width - width) // 2, (image.height - height) // 2, width, height)


def _reach(side: int, wanted: int, scaled: int) -> int:
    needed = ceil(wanted * side / scaled) + 2 * CROP_MARGIN
    return min(side, needed + (side - needed) % 2)


def scale(image: pyvips.Image, output: Output) -> pyvips.Image:
    """To cover: both sides at least as large as the output, in the picture's own proportion."""
    if output.scaled_width * output.scaled_height <= MAX_OUTPUT_PIXELS:
        width, height = output.scaled_width, output.scaled_height
    else:
        width = max(output.width, round(image.width * output.scale))
        height = max(output.height, round(image.height * output.scale))
    if (width, height) == (image.width, image.height):
        return image
    if image.hasalpha():
        return image.thumbnail_image(width, height=height, size="force")  # which sees to what is transparent
    # The same kernels without a look for alpha and profiles, which no opaque master has: 0.7 ms less.
    return image.resize(width / image.width, vscale=height / image.height)


def flatten(image: pyvips.Image, output: Output) -> pyvips.Image:
    """JPEG has no alpha: white shows through."""
    if output.format is Format.JPEG and image.hasalpha():
        return image.flatten(background=[255, 255, 255])
    return image


STEPS: Final[tuple[Step, ...]] = (reach, scale, flatten)


def scaled(image: pyvips.Image, output: Output) -> pyvips.Image:
    """Everything but the crop."""
    for step in STEPS:
        image = step(image, output)
    return image


def middle(image: pyvips.Image, output: Output) -> tuple[int, int, int, int]:
    """Left, top, width and height of what the crop leaves."""
    left, top = (image.width - output.width) // 2, (image.height - output.height) // 2
    return left, top, output.width, output.height


def encode(image: pyvips.Image, output: Output) -> bytes:
    """The middle of `image` as a file."""
    if (image.width, image.height) != (output.width, output.height):
        image = image.crop(*middle(image, output))
    saver, options = SAVERS[output.format]
    if output.format is not Format.PNG:
        options = options | {"Q": output.quality}
    data: bytes = saver(image, keep="none", **options)
    return data


class Pipeline:
    """The operations from raw masters of one size to outputs of one size, for pixels that change.

    To put them together takes libvips as long as to run them. For one thread at a time.
    """

    def __init__(self, meta: Rendition, output: Output) -> None:
        buffer = bytearray(meta.width * meta.height * meta.bands)
        self._buffer = memoryview(buffer)
        self._image = scaled(open_raw(buffer, meta), output)
        self._middle = middle(self._image, output)
        self.weight = len(buffer) + OPERATIONS_BYTES

    def run(self, pixels: bytes) -> bytes:
        """The pixels of the output, computed in this thread."""
        self._buffer[:] = pixels
        # A new region each time: an old one may hold what it has computed before.
        return bytes(pyvips.Region.new(self._image).fetch(*self._middle))
