"""Pictures that strangers send: every attack by its name, and how it has to end. All made here, when asked for."""

import io
import zipfile
import zlib
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import partial
from struct import pack
from typing import Final

import msgspec
import pyvips

from tests import flat, pictures

Make = Callable[[], bytes]
Show = Callable[[], pyvips.Image]

SMALL: Final = (60, 40)
LARGEST: Final = (8000, 6250)  # exactly the 50 megapixels that are allowed
MEGABYTE: Final = 1_000_000

TAILS: Final = {
    "html": b"<html><body><script>alert(document.domain)</script></body></html>",
    "javascript": b"*/=1;alert(document.domain)/*",
    "php": b"<?php system($_GET['c']); ?>",
}


class End(StrEnum):
    """Where an attack ends: at the container walk by its size or otherwise, in the box, or as a right picture."""

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
    return [*_sizes(), *_text(), *_metadata(), *_scans(), *_frames(), *_tails(), *_strangers(), *_kinds(), *_damage(),
            *_largest()]  # fmt: skip


def truncations(make: Make) -> Iterator[bytes]:
    """The picture cut at every hundredth of its length."""
    data = make()
    return (data[: len(data) * percent // 100] for percent in range(1, 100))


def alike(one: pyvips.Image, other: pyvips.Image, tolerance: float = 12) -> bool:
    """Of one size, and in no part of a coarse grid further apart than `tolerance` of 255; both upright sRGB."""
    if (one.width, one.height, one.bands) != (other.width, other.height, other.bands):
        return False
    coarse = [image.thumbnail_image(8, height=8, size="force").cast("float") for image in (one, other)]
    return bool((coarse[0] - coarse[1]).abs().max() <= tolerance)


# What is shown.


def small() -> pyvips.Image:
    return pictures.gradient(*SMALL)


def busy(width: int, height: int) -> pyvips.Image:
    """A picture with detail everywhere, as a photo has; the same one each time."""
    bands = [
        pyvips.Image.gaussnoise(-(-width // 8), -(-height // 8), sigma=40, mean=128, seed=seed) for seed in (1, 2, 3)
    ]
    image = bands[0].bandjoin(bands[1:]).resize(8, kernel="cubic").crop(0, 0, width, height)
    return image.cast("uchar").copy(interpretation="srgb")


def of_one_colour(width: int, height: int, *colour: int) -> pyvips.Image:
    return (pyvips.Image.black(width, height, bands=len(colour)) + list(colour)).cast("uchar").copy(
        interpretation="srgb"
    )


# What is sent.


def _sizes() -> Iterator[Attack]:
    for width, height, depth, colour, interlaced in (
        (2_000_000_000, 2_000_000_000, 1, 0, False),
        (50_000, 50_000, 1, 0, False),
        (20_000, 20_000, 16, 6, False),
        (10_000, 10_000, 8, 2, True),
        (1, 65_535, 8, 2, False),
        (65_535, 1, 8, 2, False),
    ):
        name = f"png of {width} x {height}, {depth} bits, colour type {colour}" + " in Adam7" * interlaced
        if width > 1_000_000:
            yield Attack(name, partial(_header_only, width, height), End.TOO_LARGE)
        else:
            make = partial(flat.png, width, height, depth, colour, interlaced=interlaced)
            yield Attack(name, make, End.TOO_LARGE)
    for width, height in ((1, 12_000), (12_000, 1), (12_000, 10), (10, 12_000)):
        show = partial(pictures.gradient, width, height)
        yield Attack(f"png of {width} x {height}", partial(pictures.png, width, height), End.PICTURE, show)
        yield Attack(f"jpeg of {width} x {height}", partial(pictures.jpeg, width, height), End.PICTURE, show)
    yield Attack("jpeg of 64 megapixels", partial(flat.jpeg, 8000, 8000), End.TOO_LARGE)
    yield Attack("progressive jpeg of 64 megapixels", partial(flat.progressive, 8000, 8000), End.TOO_LARGE)
    yield Attack("jpeg of 65,535 x 65,535", partial(flat.jpeg, 65_535, 10), End.TOO_LARGE)


def _header_only(width: int, height: int) -> bytes:
    data = pictures.chunk(b"IDAT", flat.zeros(MEGABYTE))
    return pictures.png_of([pictures.header(width, height, 1, 0), data, pictures.chunk(b"IEND")])


def _text() -> Iterator[Attack]:
    heads = {b"zTXt": b"Comment\0\0", b"iTXt": b"Comment\0\1\0\0\0"}
    for kind, head in heads.items():
        for place in ("before", "after"):
            name = f"png with 200 {kind.decode()} of 50 MB {place} its data"
            yield Attack(name, partial(_text_bomb, kind, head, after=place == "after"), End.PICTURE, small)


def _text_bomb(kind: bytes, head: bytes, *, after: bool) -> bytes:
    bombs = pictures.chunk(kind, head + flat.zeros(50 * MEGABYTE)) * 200
    picture = pictures.png(*SMALL)
    return picture[:-12] + bombs + picture[-12:] if after else pictures.with_chunks(picture, [bombs])


def _metadata() -> Iterator[Attack]:
    bomb = partial(pictures.chunk, b"iCCP")
    yield Attack("png with a colour profile of 50 MB", lambda: pictures.with_chunks(
        pictures.png(*SMALL), [bomb(b"p\0\0" + flat.zeros(50 * MEGABYTE))]), End.WALK)  # fmt: skip
    yield Attack("jpeg with a colour profile of 9 MB", partial(_segments, 0xE2, b"ICC_PROFILE\0\1\1", 140), End.WALK)
    yield Attack("webp with a colour profile of 9 MB", partial(_webp_with, b"ICCP", 0x20, bytes(9 * MEGABYTE)), End.WALK)
    for name, make in {
        "jpeg with 9 MB of EXIF": partial(_segments, 0xE1, b"Exif\0\0", 140),
        "jpeg with 9 MB of XMP": partial(_segments, 0xE1, b"http://ns.adobe.com/xap/1.0/\0", 140),
        "jpeg with 9 MB of comments": partial(_segments, 0xFE, b"", 140),
        "png with 9 MB of EXIF": lambda: _png_with(b"eXIf", b"MM\0*\0\0\0\x08" + bytes(9 * MEGABYTE)),
        "png with 9 MB of XMP": lambda: _png_with(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b" " * 9 * MEGABYTE),
        "webp with 9 MB of EXIF": partial(_webp_with, b"EXIF", 0x08, b"MM\0*\0\0\0\x08" + bytes(9 * MEGABYTE)),
        "webp with 9 MB of XMP": partial(_webp_with, b"XMP ", 0x04, b" " * 9 * MEGABYTE),
        "jpeg whose EXIF names its bytes 5,400 times": lambda: pictures.with_segments(
            pictures.jpeg(*SMALL), [pictures.segment(0xE1, b"Exif\0\0" + _greedy_exif())]
        ),
        "png whose EXIF names its bytes 5,400 times": lambda: _png_with(b"eXIf", _greedy_exif()),
        "webp whose EXIF names its bytes 5,400 times": lambda: _webp_with(b"EXIF", 0x08, _greedy_exif()),
    }.items():
        yield Attack(name, make, End.PICTURE, small)
    turned = partial(_turned, exif(6), exif(3))
    yield Attack("jpeg with two EXIF blocks", turned, End.PICTURE, lambda: small().rot90())


def _turned(*blocks: bytes) -> bytes:
    return pictures.with_segments(
        pictures.jpeg(*SMALL), [pictures.segment(0xE1, b"Exif\0\0" + block) for block in blocks]
    )


def exif(orientation: int) -> bytes:
    """A block that says how to hold the picture, and nothing else."""
    return b"MM\0*\0\0\0\x08\0\1" + pack(">HHIHH", 0x0112, 3, 1, orientation, 0) + bytes(4)


def _greedy_exif() -> bytes:
    """64 KB whose every entry is a text of the same 60 KB: 324 MB for a reader that copies them."""
    entries = b"".join(pack(">HHII", 0x9000 + number, 2, 60_000, 8) for number in range(5400))
    return b"MM\0*\0\0\0\x08" + pack(">H", 5400) + entries + bytes(4)


def _segments(marker: int, body: bytes, count: int) -> bytes:
    filler = pictures.segment(marker, body + b"x" * (65_533 - len(body)))
    return pictures.with_segments(pictures.jpeg(*SMALL), [filler] * count)


def _png_with(kind: bytes, body: bytes) -> bytes:
    return pictures.with_chunks(pictures.png(*SMALL), [pictures.chunk(kind, body)])


def _still() -> bytes:
    """The VP8 data of a small WebP, without its file."""
    return pictures.webp(*SMALL, Q=95, keep="none")[20:]


def _canvas(width: int, height: int, flags: int) -> tuple[bytes, bytes]:
    return b"VP8X", pack("<I", flags) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


def _webp_with(kind: bytes, flag: int, body: bytes) -> bytes:
    chunks = [(b"VP8 ", _still()), (kind, body)]
    return pictures.riff([_canvas(*SMALL, flag), *(reversed(chunks) if kind == b"ICCP" else chunks)])


def _scans() -> Iterator[Attack]:
    yield Attack("progressive jpeg of 2,647 scans", partial(flat.progressive, 2000, 2000, 2647), End.WALK)
    colour = partial(of_one_colour, 320, 200, *flat.COLOUR)
    yield Attack("progressive jpeg of 100 scans", partial(flat.progressive, 320, 200, 100), End.PICTURE, colour)
    yield Attack("jpeg of 60,000 segments", partial(_segments_of_nothing, 60_000), End.WALK)
    yield Attack("jpeg of 49,000 segments", partial(_segments_of_nothing, 49_000), End.PICTURE, small)
    yield Attack("png of 60,000 chunks", lambda: pictures.with_chunks(
        pictures.png(*SMALL), [pictures.chunk(b"teXt")] * 60_000), End.WALK)  # fmt: skip
    yield Attack("png whose data comes byte by byte", _png_in_pieces, End.PICTURE, small)
    yield Attack("png of 49,000 pieces of no data", lambda: pictures.with_chunks(
        pictures.png(*SMALL), [pictures.chunk(b"IDAT")] * 49_000), End.BOX)  # fmt: skip
    yield Attack("jpeg with 10 MB of stuffed bytes", lambda: pictures.jpeg(*SMALL)[:-2] + b"\xff\0" * 5_000_000,
                 End.WALK)  # fmt: skip
    yield Attack("jpeg with 10 MB of restarts", lambda: pictures.jpeg(*SMALL)[:-2] + b"\xff\xd0" * 5_000_000,
                 End.WALK)  # fmt: skip
    yield Attack("jpeg with 10 MB of 0xFF", lambda: b"\xff\xd8" + b"\xff" * 10_000_000, End.WALK)


def _segments_of_nothing(count: int) -> bytes:
    return pictures.with_segments(pictures.jpeg(*SMALL), [pictures.segment(0xFE, b"")] * count)


def _png_in_pieces() -> bytes:
    rows = small().write_to_memory()
    length = 3 * SMALL[0]
    data = zlib.compress(b"".join(b"\0" + rows[at : at + length] for at in range(0, len(rows), length)), 0)
    pieces = [pictures.chunk(b"IDAT", data[at : at + 1]) for at in range(len(data))]
    return pictures.png_of([pictures.header(*SMALL), *pieces, pictures.chunk(b"IEND")])


def _frames() -> Iterator[Attack]:
    yield Attack("apng of 300 frames", _apng, End.PICTURE, small)
    frames = [_frame(0, 0, SMALL, _still())] * 300
    yield Attack("webp of 300 frames", partial(_animation, SMALL, frames), End.PICTURE, small)
    vast = [_frame(0, 0, SMALL, _still())] * 300
    yield Attack("animated webp on a canvas of 268 megapixels", partial(_animation, (16_384, 16_384), vast),
                 End.TOO_LARGE)  # fmt: skip
    outside = [_frame(40, 20, SMALL, _still())]
    yield Attack("animated webp whose frame leaves its canvas", partial(_animation, SMALL, outside), End.BOX)
    lie = [_frame(0, 0, SMALL, pictures.webp(600, 400, keep="none")[20:])]
    yield Attack("animated webp whose frame is larger than it says", partial(_animation, SMALL, lie), End.BOX)


def _apng() -> bytes:
    picture = pictures.png(*SMALL)
    at = picture.index(b"IDAT") - 4
    control = pictures.chunk(b"acTL", pack(">II", 300, 0))
    data = zlib.compress(bytes(SMALL[1] * (1 + 3 * SMALL[0])))
    rest = [
        pictures.chunk(b"fcTL", pack(">IIIIIHHBB", 2 * number - 1, *SMALL, 0, 0, 1, 10, 0, 0))
        + pictures.chunk(b"fdAT", pack(">I", 2 * number) + data)
        for number in range(1, 300)
    ]
    first = pictures.chunk(b"fcTL", pack(">IIIIIHHBB", 0, *SMALL, 0, 0, 1, 10, 0, 0))
    return picture[:at] + control + first + picture[at:-12] + b"".join(rest) + picture[-12:]


def _frame(x: int, y: int, size: tuple[int, int], data: bytes, kind: bytes = b"VP8 ") -> tuple[bytes, bytes]:
    numbers = (x // 2, y // 2, size[0] - 1, size[1] - 1, 100)
    head = b"".join(number.to_bytes(3, "little") for number in numbers) + b"\2"
    return b"ANMF", head + kind + pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _animation(canvas: tuple[int, int], frames: list[tuple[bytes, bytes]]) -> bytes:
    return pictures.riff([_canvas(*canvas, 0x02), (b"ANIM", bytes(6)), *frames])


def _tails() -> Iterator[Attack]:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("evil.html", TAILS["html"] * 3)
    tails = TAILS | {"zip": archive.getvalue()}
    for make in (pictures.jpeg, pictures.png, pictures.webp):
        for kind, tail in tails.items():
            yield Attack(
                f"{make.__name__} with {kind} after its end", partial(_followed, make, tail), End.PICTURE, small
            )


def _followed(make: Make, tail: bytes) -> bytes:
    return make() + tail


def _strangers() -> Iterator[Attack]:
    """Formats that we do not take, under whatever name."""
    page = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
    gif = b"GIF89a\1\0\1\0\x80\0\0\xff\0\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
    bmp = b"BM" + pack("<IHHIIiiHHIIiiII", 58, 0, 0, 54, 40, 1, 1, 1, 24, 0, 4, 0, 0, 0, 0) + bytes(4)
    script = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)' width='9' height='9'/>"
    boxes = {brand: b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1" + brand + bytes(100) for brand in (b"avif", b"heic")}
    for name, data in {"gif": gif, "bmp": bmp, "svg": script, "pdf": page, "avif": boxes[b"avif"],
                       "heic": boxes[b"heic"]}.items():  # fmt: skip
        yield Attack(name, partial(bytes, data), End.WALK)
    yield Attack("tiff", lambda: bytes(small().tiffsave_buffer()), End.WALK)
    yield Attack("empty file", bytes, End.WALK)


def _kinds() -> Iterator[Attack]:
    """Legal pictures that many decoders get wrong."""
    yield Attack("inverted CMYK jpeg, as Adobe's are", partial(_cmyk, adobe=True), End.PICTURE, _shown_cmyk)
    yield Attack("CMYK jpeg", partial(_cmyk, adobe=False), End.PICTURE, _shown_cmyk)
    yield Attack("png of 16 bits", lambda: bytes(small().colourspace("rgb16").pngsave_buffer(bitdepth=16)),
                 End.PICTURE, small)  # fmt: skip
    yield Attack("png with a palette", lambda: bytes(small().pngsave_buffer(palette=True, dither=0)), End.PICTURE,
                 small)  # fmt: skip
    yield Attack("interlaced png", partial(pictures.png, *SMALL, interlace=True), End.PICTURE, small)
    yield Attack("progressive jpeg", partial(pictures.jpeg, *SMALL, interlace=True), End.PICTURE, small)
    yield Attack("lossless webp", partial(pictures.webp, *SMALL, lossless=True), End.PICTURE, small)
    yield Attack("lossy webp", partial(pictures.webp, *SMALL, Q=95), End.PICTURE, small)
    through = partial(pictures.gradient, *SMALL, 4)
    yield Attack("webp with alpha", partial(pictures.webp, *SMALL, 4, Q=95, alpha_q=100), End.PICTURE, through)
    yield Attack("png with alpha", partial(pictures.png, *SMALL, 4), End.PICTURE, through)
    # Phones of Samsung's write this; libjpeg only warns (lovell/sharp issue 1578).
    yield Attack("jpeg with the scan parameters of a phone", lambda: pictures.jpeg(*SMALL).replace(
        b"\0\x3f\0", b"\0\0\0", 1), End.PICTURE, small)  # fmt: skip


def _cmyk(*, adobe: bool) -> bytes:
    """libvips writes what Adobe does: inverted, and a segment that says so. Browsers invert without it too."""
    data = bytes(small().colourspace("cmyk").jpegsave_buffer(Q=95, keep="none"))
    if adobe:
        return data
    start = data.index(b"\xff\xee")
    return data[:start] + data[start + 2 + int.from_bytes(data[start + 2 : start + 4]) :]


def _shown_cmyk() -> pyvips.Image:
    return small().colourspace("cmyk").colourspace("srgb")


def _damage() -> Iterator[Attack]:
    yield Attack("png with half of its data", _half_png, End.BOX)
    yield Attack("png whose data goes on for 10 GB", _endless_png, End.PICTURE, partial(of_one_colour, 8, 8, 0, 0, 0))
    still = _still()
    yield Attack("webp with half of its data", partial(pictures.riff, [(b"VP8 ", still[: len(still) // 2])]), End.BOX)
    lossless = pictures.webp(*SMALL, lossless=True, keep="none")[20:]
    yield Attack("lossless webp with half of its data", partial(
        pictures.riff, [(b"VP8L", lossless[: len(lossless) // 2])]), End.BOX)  # fmt: skip
    lie = [_canvas(*SMALL, 0), (b"VP8 ", pictures.webp(600, 400, keep="none")[20:])]
    yield Attack("webp larger than its canvas", partial(pictures.riff, lie), End.WALK)
    yield Attack("jpeg with two frames", lambda: pictures.jpeg(*SMALL).replace(
        b"\xff\xda", pictures.jpeg(90, 90)[2:], 1), End.WALK)  # fmt: skip


def _half_png() -> bytes:
    data = zlib.compress(bytes(40 * 181))
    chunks = [pictures.header(*SMALL), pictures.chunk(b"IDAT", data[: len(data) // 2]), pictures.chunk(b"IEND")]
    return pictures.png_of(chunks)


def _endless_png() -> bytes:
    chunks = [pictures.header(8, 8), pictures.chunk(b"IDAT", flat.zeros(10_000 * MEGABYTE)), pictures.chunk(b"IEND")]
    return pictures.png_of(chunks)


def _largest() -> Iterator[Attack]:
    """Legal, and as much work as legal can be."""
    makers: dict[str, tuple[Make, Show]] = {
        "jpeg": (lambda: bytes(_busy().jpegsave_buffer(Q=75)), _busy),
        "progressive jpeg": (
            lambda: bytes(_busy().jpegsave_buffer(Q=65, interlace=True, subsample_mode="off")),
            _busy,
        ),
        "progressive CMYK jpeg": (
            lambda: bytes(_inks().jpegsave_buffer(Q=75, interlace=True, subsample_mode="off")),
            lambda: _inks().colourspace("srgb"),
        ),
        "progressive jpeg of 100 scans": (
            partial(flat.progressive, *LARGEST, 100),
            partial(of_one_colour, *LARGEST, *flat.COLOUR),
        ),
        "png": (lambda: bytes(_smooth().pngsave_buffer(compression=3)), _smooth),
        "png of 16 bits with alpha, in Adam7": (
            partial(flat.png, *LARGEST, 16, 6, interlaced=True),
            partial(of_one_colour, *LARGEST, 0, 0, 0, 0),
        ),
        "png of 16 bits with alpha, in Adam7, lying on its side": (
            lambda: pictures.with_chunks(
                flat.png(*LARGEST, 16, 6, interlaced=True), [pictures.chunk(b"eXIf", exif(6))]
            ),
            partial(of_one_colour, *LARGEST[::-1], 0, 0, 0, 0),
        ),
        "png of 1 bit": (partial(flat.png, *LARGEST, 1, 0), partial(of_one_colour, *LARGEST, 0, 0, 0)),
        "png of noise of 1 bit": (
            lambda: bytes(_noise().pngsave_buffer(bitdepth=1, compression=1, filter="none")),
            lambda: _noise().colourspace("srgb"),
        ),
        "webp": (lambda: bytes(_busy().webpsave_buffer(Q=50, effort=0)), _busy),
        "lossless webp": (lambda: bytes(_smooth().webpsave_buffer(lossless=True, effort=0)), _smooth),
        "lossless webp of noise": (
            lambda: bytes(_noise().webpsave_buffer(lossless=True, effort=0)),
            lambda: _noise().colourspace("srgb"),
        ),
        "webp with alpha": (lambda: bytes(_glass().webpsave_buffer(Q=50, effort=0)), _glass),
        "animated webp": (_large_animation, _smooth),
    }
    for name, (make, show) in makers.items():
        yield Attack(f"{name} of 50 megapixels", make, End.PICTURE, show, heavy=True)


def _busy() -> pyvips.Image:
    return busy(*LARGEST)


def _noise() -> pyvips.Image:
    """Black and white, each pixel by chance: nothing makes it smaller."""
    return (pyvips.Image.gaussnoise(*LARGEST, seed=1, mean=0) > 0).copy(interpretation="b-w")


def _inks() -> pyvips.Image:
    """Of a tile, since libvips needs half a minute to turn so many pixels into CMYK."""
    return pictures.gradient(1000, 1250).colourspace("cmyk").copy_memory().replicate(8, 5)


def _glass() -> pyvips.Image:
    """Clear in places."""
    alpha = (pictures.gradient(*LARGEST)[0] > 100).ifthenelse(255, 60).cast("uchar")
    return _smooth().bandjoin(alpha).copy(interpretation="srgb")


def _smooth() -> pyvips.Image:
    return pictures.gradient(*LARGEST)


def _large_animation() -> bytes:
    still = bytes(_smooth().webpsave_buffer(Q=50, effort=0, keep="none"))[20:]
    return _animation(LARGEST, [_frame(0, 0, LARGEST, still)] * (9 * MEGABYTE // len(still)))
