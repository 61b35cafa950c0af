"""Files that claim to be pictures, made byte by byte, and the pictures that they should be taken for."""

import io
import zipfile
import zlib
from collections.abc import Sequence
from struct import pack
from typing import Final

import pyvips

from tests import flat, pictures

SMALL: Final = (60, 40)
LARGEST: Final = (8000, 6250)  # exactly the 50 megapixels that are allowed
MEGABYTE: Final = 1_000_000

ALPHA_FLAG: Final = 0x10
_ANIMATION_FLAG: Final = 0x02

Chunk = tuple[bytes, bytes]

# What is shown.


def small() -> pyvips.Image:
    return pictures.gradient(*SMALL)


def smooth() -> pyvips.Image:
    return pictures.gradient(*LARGEST)


def clearer() -> pyvips.Image:
    """With alpha that changes all over: of all kinds, the one that libwebp needs the most memory for."""
    return pictures.gradient(*LARGEST, 4)


def busy() -> pyvips.Image:
    """A picture with detail everywhere, as a photo has; the same one each time."""
    width, height = LARGEST
    first, *rest = (
        pyvips.Image.gaussnoise(-(-width // 8), -(-height // 8), sigma=40, mean=128, seed=seed)
        for seed in (1, 2, 3)
    )
    image = first.bandjoin(rest).resize(8, kernel="cubic").crop(0, 0, width, height)
    return image.cast("uchar").copy(interpretation="srgb")


def noise() -> pyvips.Image:
    """Black and white, each pixel by chance: nothing makes it smaller."""
    return (pyvips.Image.gaussnoise(*LARGEST, seed=1, mean=0) > 0).copy(interpretation="b-w")


def inks() -> pyvips.Image:
    """Of a tile, since libvips needs half a minute to turn so many pixels into CMYK."""
    return pictures.gradient(1000, 1250).colourspace("cmyk").copy_memory().replicate(8, 5)


def of_one_colour(width: int, height: int, *colour: int) -> pyvips.Image:
    image = pyvips.Image.black(width, height, bands=len(colour)) + list(colour)
    return image.cast("uchar").copy(interpretation="srgb")


# What is sent: PNG.


def png_header(width: int, height: int) -> bytes:
    """No more than a header and a megabyte of zeros."""
    data = pictures.chunk(b"IDAT", flat.zeros(MEGABYTE))
    return pictures.png_of([pictures.header(width, height, 1, 0), data, pictures.chunk(b"IEND")])


def png_with(kind: bytes, body: bytes, count: int = 1) -> bytes:
    return pictures.with_chunks(pictures.png(*SMALL), [pictures.chunk(kind, body)] * count)


def png_followed_by(kind: bytes, body: bytes, count: int) -> bytes:
    """The chunks come after the picture's data, and before its end."""
    picture = pictures.png(*SMALL)
    return picture[:-12] + pictures.chunk(kind, body) * count + picture[-12:]


def png_byte_by_byte() -> bytes:
    """Each byte of its data in a chunk of its own."""
    rows, length = small().write_to_memory(), 3 * SMALL[0]
    data = zlib.compress(b"".join(b"\0" + rows[at : at + length] for at in range(0, len(rows), length)), 0)
    pieces = [pictures.chunk(b"IDAT", data[at : at + 1]) for at in range(len(data))]
    return pictures.png_of([pictures.header(*SMALL), *pieces, pictures.chunk(b"IEND")])


def png_of_half_its_data() -> bytes:
    data = zlib.compress(bytes(SMALL[1] * (1 + 3 * SMALL[0])))
    half = pictures.chunk(b"IDAT", data[: len(data) // 2])
    return pictures.png_of([pictures.header(*SMALL), half, pictures.chunk(b"IEND")])


def png_without_end() -> bytes:
    """8 x 8 pixels, whose data goes on for 10 GB."""
    data = pictures.chunk(b"IDAT", flat.zeros(10_000 * MEGABYTE))
    return pictures.png_of([pictures.header(8, 8), data, pictures.chunk(b"IEND")])


def apng(frames: int) -> bytes:
    """The first frame is the picture; the others are black."""
    picture = pictures.png(*SMALL)
    at = picture.index(b"IDAT") - 4
    data = zlib.compress(bytes(SMALL[1] * (1 + 3 * SMALL[0])))

    def control(number: int) -> bytes:
        return pictures.chunk(b"fcTL", pack(">IIIIIHHBB", number, *SMALL, 0, 0, 1, 10, 0, 0))

    rest = [
        control(2 * index - 1) + pictures.chunk(b"fdAT", pack(">I", 2 * index) + data)
        for index in range(1, frames)
    ]
    animation = pictures.chunk(b"acTL", pack(">II", frames, 0))
    return picture[:at] + animation + control(0) + picture[at:-12] + b"".join(rest) + picture[-12:]


# JPEG.


def jpeg_with(marker: int, body: bytes, count: int = 1) -> bytes:
    return pictures.with_segments(pictures.jpeg(*SMALL), [pictures.segment(marker, body)] * count)


def jpeg_filled_with(marker: int, start: bytes) -> bytes:
    """9 MB of segments, each as large as one can be."""
    return jpeg_with(marker, start + b"x" * (65_533 - len(start)), 140)


def jpeg_with_exif(*blocks: bytes) -> bytes:
    segments = [pictures.segment(0xE1, b"Exif\0\0" + block) for block in blocks]
    return pictures.with_segments(pictures.jpeg(*SMALL), segments)


def jpeg_of_two_frames() -> bytes:
    return pictures.jpeg(*SMALL).replace(b"\xff\xda", pictures.jpeg(90, 90)[2:], 1)


def jpeg_of_half_its_data() -> bytes:
    """With the marker that ends one after all."""
    data = pictures.jpeg(*SMALL)
    return data[: data.index(b"\xff\xda") + 200] + b"\xff\xd9"


def jpeg_of_wrong_data() -> bytes:
    """Its coded data is no code of its tables."""
    data = pictures.jpeg(*SMALL)
    middle = data.index(b"\xff\xda") + 100
    return data[:middle] + b"\xff\0" * 20 + data[middle + 40 :]


def jpeg_of_a_phone() -> bytes:
    """Samsung's write scan parameters that are not baseline's: libjpeg warns (lovell/sharp issue 1578)."""
    return pictures.jpeg(*SMALL).replace(b"\0\x3f\0", b"\0\0\0", 1)


def cmyk(*, adobe: bool) -> bytes:
    """Inverted, as Adobe's are, with or without the segment that says so: browsers do not ask for it."""
    data = bytes(small().colourspace("cmyk").jpegsave_buffer(Q=95, keep="none"))
    if adobe:
        return data
    start = data.index(b"\xff\xee")
    return data[:start] + data[start + 2 + int.from_bytes(data[start + 2 : start + 4]) :]


# EXIF.


def exif(orientation: int) -> bytes:
    """A block that says how to hold the picture, and nothing else."""
    return b"MM\0*\0\0\0\x08\0\1" + pack(">HHIHH", 0x0112, 3, 1, orientation, 0) + bytes(4)


def greedy_exif() -> bytes:
    """64 KB whose 5,400 entries are texts of the same 60 KB: 324 MB for a reader that copies them."""
    entries = b"".join(pack(">HHII", 0x9000 + number, 2, 60_000, 8) for number in range(5400))
    return b"MM\0*\0\0\0\x08" + pack(">H", 5400) + entries + bytes(4)


# WebP.


def vp8(width: int = SMALL[0], height: int = SMALL[1], **options: bool) -> bytes:
    """The coded data of a WebP, without its file."""
    return pictures.webp(width, height, Q=95, keep="none", **options)[20:]


def canvas(width: int, height: int, flags: int) -> Chunk:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X", pack("<I", flags) + sides


def webp_with(kind: bytes, flag: int, body: bytes) -> bytes:
    chunks = [(b"VP8 ", vp8()), (kind, body)]
    return pictures.riff([canvas(*SMALL, flag), *(reversed(chunks) if kind == b"ICCP" else chunks)])


def webp_of_half_its_data(kind: bytes) -> bytes:
    data = vp8(lossless=kind == b"VP8L")
    return pictures.riff([(kind, data[: len(data) // 2])])


def webp_larger_than_its_canvas() -> bytes:
    return pictures.riff([canvas(*SMALL, 0), (b"VP8 ", vp8(600, 400))])


def frame(data: bytes, x: int = 0, y: int = 0, size: tuple[int, int] = SMALL) -> Chunk:
    """A lossy frame of an animation; `x` and `y` are even."""
    numbers = (x // 2, y // 2, size[0] - 1, size[1] - 1, 100)
    head = b"".join(number.to_bytes(3, "little") for number in numbers) + b"\2"
    return b"ANMF", head + b"VP8 " + pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def animation(size: tuple[int, int], frames: Sequence[Chunk]) -> bytes:
    return pictures.riff([canvas(*size, _ANIMATION_FLAG), (b"ANIM", bytes(6)), *frames])


def large_animation() -> bytes:
    """As many frames of the largest size as fit."""
    still = bytes(smooth().webpsave_buffer(Q=50, effort=0, keep="none"))[20:]
    return animation(LARGEST, [frame(still, size=LARGEST)] * (9 * MEGABYTE // len(still)))


# What is no picture.


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as members:
        members.writestr("evil.html", b"<script>alert(1)</script>")
    return file.getvalue()


TAILS: Final = {
    "html": b"<html><body><script>alert(document.domain)</script></body></html>",
    "javascript": b"*/=1;alert(document.domain)/*",
    "php": b"<?php system($_GET['c']); ?>",
    "zip": archive(),
}
TAIL_MARKS: Final = (b"script", b"alert", b"php", b"PK\3\4", b"evil")

STRANGERS: Final = {
    "gif": b"GIF89a\1\0\1\0\x80\0\0\xff\0\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;",
    "bmp": b"BM" + pack("<IHHIIiiHHIIiiII", 58, 0, 0, 54, 40, 1, 1, 1, 24, 0, 4, 0, 0, 0, 0) + bytes(4),
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)' width='9' height='9'/>",
    "pdf": b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
    "avif": b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + bytes(100),
    "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100),
    "tiff": b"II*\0\x08\0\0\0" + bytes(100),
    "webm": b"\x1aE\xdf\xa3" + bytes(100),
    "wave": b"RIFF\x40\0\0\0WAVEfmt " + bytes(100),
}
