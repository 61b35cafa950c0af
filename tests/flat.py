"""Pictures of one colour, of any size and any number of scans: small files, made without their pixels."""

import zlib
from collections.abc import Iterator, Sequence
from struct import pack
from typing import Final

from tests import pictures

COLOUR: Final = (223, 122, 100)  # what every JPEG of this module decodes to
_YCBCR: Final = (150, 100, 180)
_BLOCK: Final = bytes(1_000_000)
# Of each pass: the first column and row, and the steps between columns and rows.
_ADAM7: Final = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)

Scan = tuple[Sequence[int], int, int, int, int]  # components, first and last coefficient, high and low bit


def jpeg(width: int, height: int) -> bytes:
    """Baseline: two bits a block of 8 x 8."""
    bits = "".join(_difference(value) + "0" for value in _YCBCR) + "0" * (6 * (_blocks(width, height) - 1))
    return _jpeg(0xC0, width, height, [((1, 2, 3), 0, 63, 0, 0)], [_coded(bits)])


def progressive(width: int, height: int, scans: int = 4) -> bytes:
    """A legal progressive JPEG: its colour, and then scans of nothing, up to 2,647 in all."""
    blocks = _blocks(width, height)
    first = "".join(_difference(value) for value in _YCBCR) + "0" * (3 * (blocks - 1))
    nothing = _coded(_ends(blocks))
    order = [((1, 2, 3), 0, 0, 0, 0), *_refinements()][:scans]
    return _jpeg(0xC2, width, height, order, [_coded(first), *[nothing] * (len(order) - 1)])


def _refinements() -> Iterator[Scan]:
    """Every bit of every coefficient of every component by itself."""
    for component in (1, 2, 3):
        for coefficient in range(1, 64):
            yield (component,), coefficient, coefficient, 0, 13
            for bit in range(12, -1, -1):
                yield (component,), coefficient, coefficient, bit + 1, bit


def _jpeg(frame: int, width: int, height: int, scans: Sequence[Scan], data: Sequence[bytes]) -> bytes:
    parts = [
        b"\xff\xd8",
        pictures.segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
        pictures.segment(0xDB, b"\0" + b"\1" * 64),
        pictures.segment(frame, pack(">BHHB", 8, height, width, 3) + b"\1\x11\0\2\x11\0\3\x11\0"),
        # Categories of differences: 0 has the code 0, the others 10000 and up.
        pictures.segment(0xC4, b"\0" + bytes((1, 0, 0, 0, 11, *[0] * 11)) + bytes(range(12))),
    ]
    if frame == 0xC0:
        parts.append(pictures.segment(0xC4, b"\x10" + bytes((1, *[0] * 15)) + b"\0"))
    else:
        runs = bytes(power << 4 for power in range(15))
        parts.append(pictures.segment(0xC4, b"\x10" + bytes((0, 0, 0, 15, *[0] * 12)) + runs))
    for (components, first, last, high, low), coded in zip(scans, data, strict=True):
        named = b"".join(bytes((component, 0)) for component in components)
        parts.append(
            pictures.segment(0xDA, bytes((len(components),)) + named + bytes((first, last, high << 4 | low)))
        )
        parts.append(coded)
    return b"".join([*parts, b"\xff\xd9"])


def _blocks(width: int, height: int) -> int:
    return -(-width // 8) * -(-height // 8)


def _difference(value: int) -> str:
    """The first block's DC coefficient; a sample of `value` is eight times its distance from 128."""
    coefficient = 8 * (value - 128)
    size = abs(coefficient).bit_length()
    code = format(0b10000 + size - 1, "05b") if size else "0"
    bits = coefficient if coefficient > 0 else coefficient + (1 << size) - 1
    return code + (format(bits, f"0{size}b") if size else "")


def _ends(blocks: int) -> str:
    """Runs of blocks without a coefficient."""
    bits = ""
    while blocks:
        power = min(14, blocks.bit_length() - 1)
        run = min(blocks, (2 << power) - 1)
        bits += format(power, "04b") + (format(run - (1 << power), f"0{power}b") if power else "")
        blocks -= run
    return bits


def _coded(bits: str) -> bytes:
    """Filled up with ones, and a zero byte stuffed after every 0xFF."""
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0")


def png(width: int, height: int, depth: int = 8, colour: int = 2, *, interlaced: bool = False) -> bytes:
    """All zeros: black, transparent where there is alpha, COLOUR where there is a palette."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    bits = depth * channels
    size = 0
    for x, y, step_x, step_y in _ADAM7 if interlaced else [(0, 0, 1, 1)]:
        columns, rows = -(-max(0, width - x) // step_x), -(-max(0, height - y) // step_y)
        size += rows * (1 + -(-columns * bits // 8)) if columns else 0
    chunks = [pictures.header(width, height, depth, colour, int(interlaced))]
    chunks += [pictures.chunk(b"PLTE", bytes(COLOUR))] if colour == 3 else []
    return pictures.png_of([*chunks, pictures.chunk(b"IDAT", zeros(size)), pictures.chunk(b"IEND")])


def zeros(size: int) -> bytes:
    """What zlib would make of `size` zero bytes, without making it: one million of them, over and over."""
    many, rest = divmod(size, len(_BLOCK))
    coder = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = coder.compress(_BLOCK) + coder.flush(zlib.Z_FULL_FLUSH)
    end = coder.compress(bytes(rest)) + coder.flush()
    return b"\x78\xda" + block * many + end + pack(">I", (size % 65521) << 16 | 1)
