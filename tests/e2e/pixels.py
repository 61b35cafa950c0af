"""What a picture should look like, rendered by libvips straight from the original; and how far off one is."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pyvips

Turn = Callable[[pyvips.Image], pyvips.Image]

# Every way to hold a picture, the right one first.
TURNS: Final[tuple[Turn, ...]] = (
    lambda image: image,
    lambda image: image.fliphor(),
    lambda image: image.flipver(),
    lambda image: image.rot180(),
    lambda image: image.rot90(),
    lambda image: image.rot270(),
    lambda image: image.rot90().fliphor(),
    lambda image: image.rot90().flipver(),
)


def upright(original: Path) -> pyvips.Image:
    """The original as it is meant to be seen, in sRGB, in memory."""
    image = pyvips.Image.new_from_buffer(original.read_bytes(), "").autorot()
    return image.colourspace("srgb").copy_memory()


def reference(image: pyvips.Image, width: int | None, height: int | None) -> pyvips.Image:
    """`image` at the size that the API documents.

    By `thumbnail_image`, of pixels that are upright already: `thumbnail_buffer` shifts an enlarged picture
    that it also rotates by half a pixel (measured with libvips 8.18).
    """
    if width and height:
        return image.thumbnail_image(width, height=height, crop="centre")
    if width or height:
        target_width, target_height = size((image.width, image.height), width, height)
        return image.thumbnail_image(target_width, height=target_height, size="force")
    return image


def size(full: tuple[int, int], width: int | None, height: int | None) -> tuple[int, int]:
    """The documented size of an output: both sides as asked for, or one and the other in proportion."""
    full_width, full_height = full
    if width and height:
        return width, height
    if width:
        return width, max(1, (2 * full_height * width + full_width) // (2 * full_width))
    if height:
        return max(1, (2 * full_width * height + full_height) // (2 * full_height)), height
    return full


def differences(one: pyvips.Image, other: pyvips.Image) -> list[float]:
    """The mean absolute difference of each channel, of 255."""
    assert (one.width, one.height, one.bands) == (other.width, other.height, other.bands)
    apart = (one - other).abs()
    return [apart[band].avg() for band in range(apart.bands)]


def best_turn(served: pyvips.Image, wanted: pyvips.Image) -> int:
    """Which of TURNS brings `wanted` nearest to what was served; 0 is the right one."""
    apart = turned_differences(served, wanted)
    return min(apart, key=apart.__getitem__)


def wrong_turn(served: pyvips.Image, wanted: pyvips.Image) -> float:
    """How far the nearest wrong turn of `wanted` is from what was served."""
    return min(apart for turn, apart in turned_differences(served, wanted).items() if turn)


def turned_differences(served: pyvips.Image, wanted: pyvips.Image) -> dict[int, float]:
    """The largest difference of a channel for each of TURNS that has the right size."""
    turned = {index: turn(wanted) for index, turn in enumerate(TURNS)}
    return {
        index: max(differences(served, image))
        for index, image in turned.items()
        if (image.width, image.height) == (served.width, served.height)
    }


def format_of(data: bytes) -> str:
    """By the bytes alone."""
    if data.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    assert data[:4] + data[8:12] == b"RIFFWEBP"
    return "webp"
