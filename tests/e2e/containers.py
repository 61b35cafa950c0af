"""Names every part of a JPEG, PNG or WebP, by walking its bytes from the first to the last."""

from collections.abc import Iterator
from struct import unpack_from
from typing import Final

from tests.e2e.pixels import format_of

# What makes the picture, and nothing that says anything about it. libvips writes a pHYs into every PNG.
PIXELS_ONLY: Final = {
    "jpg": {"SOI", "JFIF", "DQT", "SOF0", "DHT", "SOS", "EOI"},
    "png": {"IHDR", "PLTE", "tRNS", "pHYs", "IDAT", "IEND"},
    "webp": {"VP8 ", "VP8L", "VP8X", "ALPH"},
}

_SEGMENTS: Final = {
    0xC0: "SOF0",
    0xC2: "SOF2",
    0xC4: "DHT",
    0xD8: "SOI",
    0xD9: "EOI",
    0xDA: "SOS",
    0xDB: "DQT",
    0xDD: "DRI",
    0xFE: "COM",
}
_APPLICATIONS: Final = {
    b"JFIF\0": "JFIF",
    b"Exif\0": "EXIF",
    b"http://ns.adobe.com/xap/": "XMP",
    b"ICC_PROFILE\0": "ICC",
    b"Adobe": "Adobe",
}


def parts(data: bytes) -> list[str]:
    """The kinds in their order; `trailing` where bytes follow the picture's end."""
    walk = {"jpg": _jpeg, "png": _png, "webp": _webp}[format_of(data)]
    return list(walk(data))


def _jpeg(data: bytes) -> Iterator[str]:
    position = 0
    while position < len(data):
        assert data[position] == 0xFF, "bytes between two segments"
        marker = data[position + 1]
        yield _segment(marker, data[position + 4 : position + 40])
        if marker == 0xD9:
            break
        position += 2
        if marker == 0xD8:
            continue
        position += unpack_from(">H", data, position)[0]
        if marker == 0xDA:
            position = _end_of_scan(data, position)
    if position + 2 < len(data):
        yield "trailing"


def _segment(marker: int, body: bytes) -> str:
    if 0xE0 <= marker <= 0xEF:
        return next(
            (name for start, name in _APPLICATIONS.items() if body.startswith(start)), f"APP{marker - 0xE0}"
        )
    return _SEGMENTS.get(marker, f"{marker:02X}")


def _end_of_scan(data: bytes, position: int) -> int:
    """Coded data goes on over stuffed zeros and restart markers."""
    while data[position] != 0xFF or data[position + 1] in (0, *range(0xD0, 0xD8)):
        position += 1
    return position


def _png(data: bytes) -> Iterator[str]:
    position = 8
    while position < len(data):
        (length,) = unpack_from(">I", data, position)
        kind = data[position + 4 : position + 8].decode("ascii")
        yield kind
        position += 12 + length
        if kind == "IEND":
            break
    if position < len(data):
        yield "trailing"


def _webp(data: bytes) -> Iterator[str]:
    end = 8 + unpack_from("<I", data, 4)[0]
    position = 12
    while position < end:
        (length,) = unpack_from("<I", data, position + 4)
        yield data[position : position + 4].decode("ascii")
        position += 8 + length + length % 2
    if end < len(data):
        yield "trailing"
