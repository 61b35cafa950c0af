"""Pixels, inside the box: an upload becomes clean renditions. Only the box's child process imports this.

Clean means: upright, 8-bit sRGB, no metadata, baseline. What transform opens was written here.
"""

from contextlib import suppress
from pathlib import Path
from re import compile as regex
from typing import Final

import msgspec
import pyvips

from libs.pictures import DEFAULT_QUALITY, FULL, Format, Rendition, rungs
from services.ingest import raw_alpha

LARGE_PIXELS: Final = (
    4_000_000  # above it, encoder effort falls: a 50-megapixel WebP holds a worker for seconds
)
MAX_ALPHA_PIXELS: Final = 20_000_000  # of a WebP whose alpha libwebp compresses, at 33 bytes a pixel
MASTER_QUALITY: Final = 95

# Of what libjpeg only warns of (its own words): pixels are missing or wrong. decisions/0009
DAMAGE: Final = regex("(?i)premature end|bad huffman code|bad arithmetic code|instead of RST")

LOADERS: Final = {
    Format.JPEG: pyvips.Image.jpegload_buffer,
    Format.PNG: pyvips.Image.pngload_buffer,
    Format.WEBP: pyvips.Image.webpload_buffer,
}


class Made(msgspec.Struct, frozen=True):
    """One rendition: its name, its file, and what rides with it."""

    name: str
    path: Path
    meta: Rendition


def decode(source: bytes, uploaded: Format) -> pyvips.Image:
    """All of the picture, clean, in memory; raises pyvips.Error where it does not decode whole."""
    image = upright(whole(source, uploaded))
    return without_idle_alpha(image).copy(xres=1, yres=1)  # PNG keeps the resolution, which is metadata too


def make(image: pyvips.Image, uploaded: Format, folder: Path) -> list[Made]:
    """Write every rendition of what `decode` returned into `folder`. A pyvips.Error is a limit of ours."""

    def meta(of: pyvips.Image, kind: str) -> Rendition:
        return Rendition(
            width=of.width,
            height=of.height,
            bands=of.bands,
            format=kind,
            full_width=image.width,
            full_height=image.height,
            uploaded=uploaded,
        )

    made = [Made(FULL, save_full(image, uploaded, folder / FULL), meta(image, uploaded.value))]
    larger = image
    for rung, width, height in reversed(rungs(image.width, image.height)):
        if (width, height) != (larger.width, larger.height):
            # Each from the next larger one: half the work of starting from the original each time.
            larger = larger.thumbnail_image(width, height=height, size="force").copy_memory()
        path = folder / rung.name
        kind = save_master(larger, path, raw=rung.raw)
        made.append(Made(rung.name, path, meta(larger, kind)))
    return made


def whole(source: bytes, uploaded: Format) -> pyvips.Image:
    """Every pixel, decoded by the one loader that the magic bytes named; fails on damage."""
    if uploaded is Format.JPEG:
        try:
            return to_srgb(load(source, uploaded, "warning")).copy_memory()
        except pyvips.Error as error:
            if DAMAGE.search(str(error)):
                raise
    return to_srgb(load(source, uploaded, "error")).copy_memory()


def load(source: bytes, uploaded: Format, fail_on: str) -> pyvips.Image:
    return LOADERS[uploaded](source, access="sequential", fail_on=fail_on)


def to_srgb(image: pyvips.Image) -> pyvips.Image:
    """8-bit sRGB with three channels, and alpha where there is one."""
    if image.get_typeof("icc-profile-data") and image.interpretation in (
        "rgb",
        "srgb",
        "rgb16",
        "cmyk",
        "b-w",
        "grey16",
    ):
        # A profile that does not fit its picture: every browser ignores it too.
        with suppress(pyvips.Error):
            image = image.icc_transform("srgb", embedded=True, depth=8)
    image = image.colourspace("srgb")
    return image if image.format == "uchar" else image.cast("uchar")


def upright(image: pyvips.Image) -> pyvips.Image:
    """The EXIF orientation, applied. An upright one is not copied: it may be 200 MB."""
    turned = image.get_typeof("orientation") and image.get("orientation") > 1
    return image.autorot().copy_memory() if turned else image


def without_idle_alpha(image: pyvips.Image) -> pyvips.Image:
    """Without an alpha channel that is opaque everywhere: a quarter of the bytes of every raw master."""
    if image.hasalpha() and image[image.bands - 1].min() == 255:
        return image.extract_band(0, n=image.bands - 1)
    return image


def save_full(image: pyvips.Image, uploaded: Format, path: Path) -> Path:
    """What is served when no parameter is given."""
    pixels = image.width * image.height
    large = pixels > LARGE_PIXELS
    match uploaded:
        case Format.JPEG:
            image.jpegsave(str(path), Q=DEFAULT_QUALITY, optimize_coding=not large, keep="none")
        case Format.PNG:
            image.pngsave(str(path), compression=2 if large else 6, keep="none")
        case Format.WEBP if image.hasalpha() and pixels > MAX_ALPHA_PIXELS:
            raw_alpha.save(image, path, DEFAULT_QUALITY)
        case Format.WEBP:
            image.webpsave(str(path), Q=DEFAULT_QUALITY, effort=0 if large else 4, keep="none")
    return path


def save_master(image: pyvips.Image, path: Path, *, raw: bool) -> str:
    """Write `image` for transform to render from; returns the format it is in."""
    if raw:
        path.write_bytes(image.write_to_memory())
        return "raw"
    if image.hasalpha():
        image.pngsave(str(path), compression=1, keep="none")
        return Format.PNG.value
    image.jpegsave(str(path), Q=MASTER_QUALITY, subsample_mode="off", keep="none")
    return Format.JPEG.value
