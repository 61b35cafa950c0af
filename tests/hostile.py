"""Pictures that strangers send: every attack by its name, and how it has to end."""

from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import partial
from typing import Final

import msgspec
import pyvips

from tests import flat, forgeries, pictures
from tests.forgeries import LARGEST, MEGABYTE, SMALL, of_one_colour, small

Make = Callable[[], bytes]
Show = Callable[[], pyvips.Image]


class End(StrEnum):
    """Where an attack ends: at the walk, by its size or otherwise, in the box, or as a right picture."""

    TOO_LARGE = "too large"
    WALK = "refused by the walk"
    BOX = "refused by the box"
    PICTURE = "accepted"


class Attack(msgspec.Struct, frozen=True):
    """`show`: what an accepted one has to look like. `heavy`: takes seconds to make, or to decode."""

    name: str
    make: Make
    end: End
    show: Show | None = None
    heavy: bool = False


def attacks() -> list[Attack]:
    """All of them, each under a name of its own."""
    return [attack for group in _GROUPS for attack in group()]


def truncations(make: Make) -> Iterator[bytes]:
    """The picture cut at every hundredth of its length."""
    data = make()
    return (data[: len(data) * percent // 100] for percent in range(1, 100))


def alike(one: pyvips.Image, other: pyvips.Image, tolerance: float = 12) -> bool:
    """Of one size, and no part of a coarse grid further apart than `tolerance` of 255; both in sRGB."""
    if (one.width, one.height, one.bands) != (other.width, other.height, other.bands):
        return False
    if one.hasalpha():
        one, other = one.premultiply(), other.premultiply()  # what cannot be seen may differ
    coarse = [image.resize(4 / image.width, vscale=4 / image.height) for image in (one, other)]
    return bool((coarse[0] - coarse[1]).abs().max() <= tolerance)


def _sizes() -> Iterator[Attack]:
    huge = 2_000_000_000
    yield Attack("png that says 2,000,000,000²", partial(forgeries.png_header, huge, huge), End.TOO_LARGE)
    for name, make in {
        "png of 50,000² of 1 bit": partial(flat.png, 50_000, 50_000, 1, 0),
        "png of 20,000² of 16 bits with alpha": partial(flat.png, 20_000, 20_000, 16, 6),
        "png of 10,000² in Adam7": partial(flat.png, 10_000, 10_000, interlaced=True),
        "png of 1 x 65,535": partial(flat.png, 1, 65_535),
        "png of 65,535 x 1": partial(flat.png, 65_535, 1),
        "jpeg of 65,535 x 10": partial(flat.jpeg, 65_535, 10),
        "jpeg of 64 megapixels": partial(flat.jpeg, 8000, 8000),
        "progressive jpeg of 64 megapixels": partial(flat.progressive, 8000, 8000),
    }.items():
        yield Attack(name, make, End.TOO_LARGE)
    for width, height in ((1, 12_000), (12_000, 1), (12_000, 10), (10, 12_000)):
        show = partial(pictures.gradient, width, height)
        for kind in (pictures.png, pictures.jpeg):
            name = f"{kind.__name__} of {width} x {height}"
            yield Attack(name, partial(kind, width, height), End.PICTURE, show)


def _text() -> Iterator[Attack]:
    bomb = flat.zeros(50 * MEGABYTE)
    for kind, head in ((b"zTXt", b"Comment\0\0"), (b"iTXt", b"Comment\0\1\0\0\0")):
        name = f"png with 200 {kind.decode()} of 50 MB"
        before = partial(forgeries.png_with, kind, head + bomb, 200)
        after = partial(forgeries.png_followed_by, kind, head + bomb, 200)
        yield Attack(f"{name} before its data", before, End.PICTURE, small)
        yield Attack(f"{name} after its data", after, End.PICTURE, small)


def _metadata() -> Iterator[Attack]:
    vast = 9 * MEGABYTE
    profile = b"p\0\0" + flat.zeros(50 * MEGABYTE)
    tiff = b"MM\0*\0\0\0\x08"
    profiles: dict[str, Make] = {
        "png with a profile of 50 MB": partial(forgeries.png_with, b"iCCP", profile),
        "jpeg with a profile of 9 MB": partial(forgeries.jpeg_filled_with, 0xE2, b"ICC_PROFILE\0\1\1"),
        "webp with a profile of 9 MB": lambda: forgeries.webp_with(b"ICCP", 0x20, bytes(vast)),
    }
    for name, make in profiles.items():
        yield Attack(name, make, End.WALK)
    makers: dict[str, Make] = {
        "jpeg with 9 MB of EXIF": partial(forgeries.jpeg_filled_with, 0xE1, b"Exif\0\0"),
        "jpeg with 9 MB of XMP": partial(forgeries.jpeg_filled_with, 0xE1, b"http://ns.adobe.com/xap/1.0/\0"),
        "jpeg with 9 MB of comments": partial(forgeries.jpeg_filled_with, 0xFE, b""),
        "png with 9 MB of EXIF": lambda: forgeries.png_with(b"eXIf", tiff + bytes(vast)),
        "png with 9 MB of XMP": lambda: forgeries.png_with(b"iTXt", b"XML:com.adobe.xmp" + bytes(vast)),
        "webp with 9 MB of EXIF": lambda: forgeries.webp_with(b"EXIF", 0x08, tiff + bytes(vast)),
        "webp with 9 MB of XMP": lambda: forgeries.webp_with(b"XMP ", 0x04, bytes(vast)),
        "jpeg with greedy EXIF": lambda: forgeries.jpeg_with_exif(forgeries.greedy_exif()),
        "png with greedy EXIF": lambda: forgeries.png_with(b"eXIf", forgeries.greedy_exif()),
        "webp with greedy EXIF": lambda: forgeries.webp_with(b"EXIF", 0x08, forgeries.greedy_exif()),
    }
    for name, make in makers.items():
        yield Attack(name, make, End.PICTURE, small)
    turned = partial(forgeries.jpeg_with_exif, forgeries.exif(6), forgeries.exif(3))
    yield Attack("jpeg with two EXIF blocks", turned, End.PICTURE, lambda: small().rot90())


def _parts() -> Iterator[Attack]:
    jpeg = pictures.jpeg(*SMALL)[:-2]
    makers: dict[str, Make] = {
        "progressive jpeg of 2,647 scans": partial(flat.progressive, 2000, 2000, 2647),
        "jpeg of 60,000 segments": partial(forgeries.jpeg_with, 0xFE, b"", 60_000),
        "png of 60,000 chunks": partial(forgeries.png_with, b"teXt", b"", 60_000),
        "jpeg with 10 MB of stuffed bytes": lambda: jpeg + b"\xff\0" * 5_000_000,
        "jpeg with 10 MB of restarts": lambda: jpeg + b"\xff\xd0" * 5_000_000,
        "jpeg with 10 MB of 0xFF": lambda: b"\xff\xd8" + b"\xff" * 10_000_000,
        "jpeg with 10 MB of 0xFF for data": lambda: jpeg + b"\xff" * 10_000_000,
        "jpeg with two frames": forgeries.jpeg_of_two_frames,
        "webp larger than its canvas": forgeries.webp_larger_than_its_canvas,
    }
    for name, make in makers.items():
        yield Attack(name, make, End.WALK)
    scans = partial(flat.progressive, 320, 200, 100)
    colour = partial(of_one_colour, 320, 200, *flat.COLOUR)
    yield Attack("progressive jpeg of 100 scans", scans, End.PICTURE, colour)
    segments = partial(forgeries.jpeg_with, 0xFE, b"", 9900)
    yield Attack("jpeg of 9,900 segments", segments, End.PICTURE, small)
    yield Attack("png whose data comes byte by byte", forgeries.png_byte_by_byte, End.PICTURE, small)


def _frames() -> Iterator[Attack]:
    still = forgeries.vp8()
    frames = [forgeries.frame(still)] * 300
    yield Attack("apng of 300 frames", partial(forgeries.apng, 300), End.PICTURE, small)
    yield Attack("webp of 300 frames", partial(forgeries.animation, SMALL, frames), End.PICTURE, small)
    canvas = partial(forgeries.animation, (16_384, 16_384), frames)
    yield Attack("webp of 300 frames on 268 megapixels", canvas, End.TOO_LARGE)
    outside = partial(forgeries.animation, SMALL, [forgeries.frame(still, 40, 20)])
    yield Attack("webp whose frame leaves its canvas", outside, End.BOX)
    lie = partial(forgeries.animation, SMALL, [forgeries.frame(forgeries.vp8(600, 400))])
    yield Attack("webp whose frame is larger than it says", lie, End.BOX)


def _tails() -> Iterator[Attack]:
    for make in (pictures.jpeg, pictures.png, pictures.webp):
        for kind, tail in forgeries.TAILS.items():
            name = f"{make.__name__} with {kind} after its end"
            yield Attack(name, partial(_joined, make, tail), End.PICTURE, small)


def _joined(make: Make, tail: bytes) -> bytes:
    return make() + tail


def _strangers() -> Iterator[Attack]:
    """Formats that we do not take, under whatever name."""
    for name, data in forgeries.STRANGERS.items():
        yield Attack(name, partial(bytes, data), End.WALK)


def _kinds() -> Iterator[Attack]:
    """Legal pictures that many decoders get wrong."""
    makers: dict[str, Make] = {
        "png of 16 bits": lambda: bytes(small().colourspace("rgb16").pngsave_buffer(bitdepth=16)),
        "png with a palette": partial(pictures.png, *SMALL, palette=True, dither=0),
        "interlaced png": partial(pictures.png, *SMALL, interlace=True),
        "progressive jpeg": partial(pictures.jpeg, *SMALL, interlace=True),
        "jpeg of a phone": forgeries.jpeg_of_a_phone,
        "lossless webp": partial(pictures.webp, *SMALL, lossless=True),
        "lossy webp": partial(pictures.webp, *SMALL, Q=95),
    }
    for name, make in makers.items():
        yield Attack(name, make, End.PICTURE, small)
    clear = partial(pictures.gradient, *SMALL, 4)
    yield Attack("png with alpha", partial(pictures.png, *SMALL, 4), End.PICTURE, clear)
    yield Attack("webp with alpha", partial(pictures.webp, *SMALL, 4, Q=95), End.PICTURE, clear)
    for name, adobe in (("CMYK jpeg as Adobe's are", True), ("CMYK jpeg", False)):
        make = partial(forgeries.cmyk, adobe=adobe)
        yield Attack(name, make, End.PICTURE, lambda: small().colourspace("cmyk").colourspace("srgb"))


def _damage() -> Iterator[Attack]:
    makers: dict[str, Make] = {
        "jpeg with half of its data": forgeries.jpeg_of_half_its_data,
        "jpeg with wrong data": forgeries.jpeg_of_wrong_data,
        "png with half of its data": forgeries.png_of_half_its_data,
        "png of 9,900 pieces of no data": partial(forgeries.png_with, b"IDAT", b"", 9900),
        "webp with half of its data": partial(forgeries.webp_of_half_its_data, b"VP8 "),
        "lossless webp with half of its data": partial(forgeries.webp_of_half_its_data, b"VP8L"),
    }
    for name, make in makers.items():
        yield Attack(name, make, End.BOX)
    yield Attack("png whose data goes on for 10 GB", forgeries.png_without_end, End.WALK)


def _largest() -> Iterator[Attack]:
    """Legal, and as much work as legal can be."""
    clear = (0, 0, 0, 0)
    side = pictures.chunk(b"eXIf", forgeries.exif(6))
    whole = {"interlace": True, "subsample_mode": "off"}  # the decoder holds every coefficient
    adam7 = partial(flat.png, *LARGEST, 16, 6, interlaced=True)
    makers: dict[str, tuple[Make, Show]] = {
        "jpeg": (_saved(forgeries.busy, ".jpg", Q=75), forgeries.busy),
        "progressive jpeg": (_saved(forgeries.busy, ".jpg", Q=65, **whole), forgeries.busy),
        "progressive CMYK jpeg": (
            _saved(forgeries.inks, ".jpg", Q=75, **whole),
            lambda: forgeries.inks().colourspace("srgb"),
        ),
        "progressive jpeg of 100 scans": (
            partial(flat.progressive, *LARGEST, 100),
            partial(of_one_colour, *LARGEST, *flat.COLOUR),
        ),
        "png": (_saved(forgeries.smooth, ".png", compression=3), forgeries.smooth),
        "png of 16 bits with alpha in Adam7": (adam7, partial(of_one_colour, *LARGEST, *clear)),
        "png of 16 bits with alpha in Adam7 on its side": (
            lambda: pictures.with_chunks(adam7(), [side]),
            partial(of_one_colour, *LARGEST[::-1], *clear),
        ),
        "png of 1 bit": (partial(flat.png, *LARGEST, 1, 0), partial(of_one_colour, *LARGEST, 0, 0, 0)),
        "png of noise of 1 bit": (
            _saved(forgeries.noise, ".png", bitdepth=1, compression=1, filter="none"),
            lambda: forgeries.noise().colourspace("srgb"),
        ),
        "webp": (_saved(forgeries.busy, ".webp", Q=50, effort=0), forgeries.busy),
        "lossless webp": (_saved(forgeries.smooth, ".webp", lossless=True, effort=0), forgeries.smooth),
        "lossless webp of noise": (
            _saved(forgeries.noise, ".webp", lossless=True, effort=0),
            lambda: forgeries.noise().colourspace("srgb"),
        ),
        "webp with alpha": (_saved(forgeries.clearer, ".webp", Q=50, effort=1), forgeries.clearer),
        "animated webp": (forgeries.large_animation, forgeries.smooth),
    }
    for name, (make, show) in makers.items():
        yield Attack(f"{name} of 50 megapixels", make, End.PICTURE, show, heavy=True)


def _saved(image: Show, kind: str, **options: object) -> Make:
    return lambda: bytes(image().write_to_buffer(kind, **options))


_GROUPS: Final = (_sizes, _text, _metadata, _parts, _frames, _tails, _strangers, _kinds, _damage, _largest)
