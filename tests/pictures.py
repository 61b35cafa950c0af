"""Small pictures and broken ones, made here: no test downloads anything."""

import struct
import zlib
from collections.abc import Iterable

import pyvips


def gradient(width: int, height: int, bands: int = 3) -> pyvips.Image:
    """A smooth sRGB picture in which every corner differs; of 2 or 4 bands the last is alpha, 0 to 255."""
    x = pyvips.Image.xyz(width, height)
    across, down = x[0] * (255 / max(1, width - 1)), x[1] * (255 / max(1, height - 1))
    layers = [across, down, 255 - across, down][:bands] if bands > 2 else [across, down][:bands]
    return layers[0].bandjoin(layers[1:]).cast("uchar").copy(interpretation="srgb" if bands > 2 else "b-w")


def jpeg(width: int = 60, height: int = 40, **options: object) -> bytes:
    return bytes(gradient(width, height).jpegsave_buffer(**({"Q": 90} | options)))


def png(width: int = 60, height: int = 40, bands: int = 3, **options: object) -> bytes:
    return bytes(gradient(width, height, bands).pngsave_buffer(**options))


def webp(width: int = 60, height: int = 40, bands: int = 3, **options: object) -> bytes:
    return bytes(gradient(width, height, bands).webpsave_buffer(**options))


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    """A PNG chunk with its length and check sum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(chunks: Iterable[bytes]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def header(width: int, height: int, depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def with_chunks(picture: bytes, chunks: Iterable[bytes]) -> bytes:
    """A PNG with more chunks right after its header."""
    return picture[:33] + b"".join(chunks) + picture[33:]


def segment(marker: int, data: bytes) -> bytes:
    """A JPEG segment."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def with_segments(picture: bytes, segments: Iterable[bytes]) -> bytes:
    """A JPEG with more segments right after its first two bytes."""
    return picture[:2] + b"".join(segments) + picture[2:]


def riff(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A WebP of these chunks."""
    body = b"WEBP"
    for kind, data in chunks:
        body += kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body
