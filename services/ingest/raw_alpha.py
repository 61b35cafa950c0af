"""A WebP whose alpha is stored as it is, for pictures that libwebp could only compress with gigabytes.

It takes 33 bytes a pixel where alpha changes all over, 1.7 GB at 50 megapixels, and stores it raw in the end
(libvips 8.18). So we write that plane ourselves: RFC 9649 section 2.7.1.2, compression method 0.
"""

from pathlib import Path
from struct import pack
from typing import Final

import pyvips

_HEADER_BYTES: Final = 12  # RIFF, its length, WEBP
_HAS_ALPHA: Final = 0x10
_UNCOMPRESSED: Final = b"\0"  # no filter, no quantisation


def save(image: pyvips.Image, path: Path, quality: int) -> None:
    """Write `image`, 8-bit sRGB with alpha, as a lossy WebP with raw alpha."""
    colours = image.extract_band(0, n=3).webpsave_buffer(Q=quality, effort=0, keep="none")
    still = memoryview(colours)[_HEADER_BYTES:]  # the one chunk of a picture without alpha or metadata
    alpha = image.extract_band(3).write_to_memory()
    canvas = pack("<I", _HAS_ALPHA) + _three_bytes(image.width - 1) + _three_bytes(image.height - 1)
    plane_bytes = len(_UNCOMPRESSED) + len(alpha)
    parts = [
        b"WEBP",
        b"VP8X" + pack("<I", len(canvas)) + canvas,
        b"ALPH" + pack("<I", plane_bytes) + _UNCOMPRESSED,
        alpha,
        b"\0" * (plane_bytes % 2),
        still,
    ]
    with path.open("wb") as file:
        file.write(b"RIFF" + pack("<I", sum(map(len, parts))))
        file.writelines(parts)


def _three_bytes(number: int) -> bytes:
    return number.to_bytes(3, "little")
