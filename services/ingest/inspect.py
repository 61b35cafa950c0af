"""The container walk: what a file says it is, checked before any decoder sees it.

Plain Python over a memory map: nothing is decoded, and nothing is allocated that the file can make large.
The walk also names the bytes that the decoder gets: everything that cannot change the picture stays out.
Formats: ITU-T T.81 Annex B (JPEG), PNG third edition section 5, RFC 9649 (WebP).
"""

import zlib
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path
from re import compile as regex
from struct import unpack_from
from typing import Final

import msgspec

from libs.errors import IMAGE_DIMENSIONS_TOO_LARGE, INVALID_IMAGE_FORMAT, ApiError
from libs.pictures import MAX_PIXELS, MAX_SIDE, Format

MAX_SCANS: Final = 100  # a legal 260 KB file of 2,647 scans costs 14 s to decode
MAX_PROFILE_BYTES: Final = 4 * 1024 * 1024  # the largest in use are printers', of 2 to 3 MB
MAX_PARTS: Final = 10_000  # segments or chunks; ten megabytes of picture data come in a few thousand
# A PNG's data may take twice the bytes of its rows, and this. No encoder comes near it, and ten megabytes for
# eight pixels take a second to read to their end.
SPARE_DATA_BYTES: Final = 64 * 1024
MAX_EXIF_BYTES: Final = 64 * 1024  # what a JPEG segment can hold
MAX_GAP_BYTES: Final = 64 * 1024  # between two segments there should be none; every decoder skips some
SEARCH_BYTES: Final = 32 * 1024  # a search holds the interpreter's lock: 0.5 ms at worst, not 140


class Inspected(msgspec.Struct, frozen=True):
    """A file that may go to the decoder.

    `width`, `height`: pixels as stored, before any orientation. `prefix` and then the `ranges`
    (start, end) of the file are a picture of this `format` without what the decoder does not need.
    """

    format: Format
    width: int
    height: int
    prefix: bytes
    ranges: tuple[tuple[int, int], ...]


class InvalidImage(ApiError):
    """Not a JPEG, PNG or WebP that decodes whole; `reason` says what is wrong with it."""

    def __init__(self, reason: str) -> None:
        super().__init__(INVALID_IMAGE_FORMAT, f"Only JPEG, PNG, and WebP files are supported: {reason}")


class TooManyParts(InvalidImage):
    """More segments or chunks than the walk was told to look at."""

    def __init__(self) -> None:
        super().__init__("the file is cut into too many parts")


def inspect(path: Path, most_parts: int = MAX_PARTS) -> Inspected:
    """Walk the file at `path`; raises InvalidImage (TooManyParts too) or IMAGE_DIMENSIONS_TOO_LARGE."""
    with path.open("rb") as file:
        try:
            data = mmap(file.fileno(), 0, access=ACCESS_READ)
        except ValueError:
            raise InvalidImage("the file is empty") from None
        with data:
            if data[:3] == b"\xff\xd8\xff":
                return _Jpeg(data, most_parts).walk()
            if data[:8] == b"\x89PNG\r\n\x1a\n":
                return _Png(data, most_parts).walk()
            if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
                return _Webp(data, most_parts).walk()
            raise InvalidImage("the file begins like none of them")


def _check_size(width: int, height: int) -> None:
    if not (width and height):
        raise InvalidImage("the picture has no pixels")
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        details = f"The picture is {width} x {height}; {IMAGE_DIMENSIONS_TOO_LARGE.details.lower()}"
        raise ApiError(IMAGE_DIMENSIONS_TOO_LARGE, details)


class _Ranges:
    """The kept parts of a file, neighbours joined."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, int]] = []

    def keep(self, start: int, end: int) -> None:
        if self._kept and self._kept[-1][1] == start:
            start = self._kept.pop()[0]
        self._kept.append((start, end))

    def all(self) -> tuple[tuple[int, int], ...]:
        return tuple(self._kept)


class _Jpeg:
    _FRAMES: Final = frozenset((0xC0, 0xC1, 0xC2, 0xC9, 0xCA))  # baseline, extended, progressive
    _OTHER_FRAMES: Final = frozenset(
        (0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF)
    )  # lossless, hierarchical
    _TABLES: Final = frozenset((0xC4, 0xCC, 0xDB, 0xDD))
    _SCAN: Final = 0xDA
    _END: Final = 0xD9
    _ALONE: Final = frozenset((0x01, *range(0xD0, 0xD8)))  # no length follows
    _MARKER: Final = regex(rb"\xff[^\x00\xff\xd0-\xd7]")  # in coded data, neither stuffing nor restart

    def __init__(self, data: mmap, most_parts: int) -> None:
        self.data = data
        self.most_parts = most_parts
        self.ranges = _Ranges()
        self.size: tuple[int, int] | None = None
        self.segments = 0
        self.scans = 0
        self.exif = False
        self.profile_bytes = 0

    def walk(self) -> Inspected:
        self.ranges.keep(0, 2)
        position = 2
        while True:
            start = self._next_marker(position)
            marker = self.data[start + 1]
            if self.scans and start > position:
                self.ranges.keep(position, start)  # coded data
            if marker == self._END:
                self.ranges.keep(start, start + 2)
                break
            position = self._segment(marker, start)
        if self.size is None or not self.scans:
            raise InvalidImage("the JPEG has no picture in it")
        return Inspected(Format.JPEG, *self.size, b"", self.ranges.all())

    def _next_marker(self, position: int) -> int:
        """Where the next one begins; a byte of overlap, since a marker is two."""
        end = len(self.data) if self.scans else min(len(self.data), position + MAX_GAP_BYTES)
        for start in range(position, end, SEARCH_BYTES):
            found = self._MARKER.search(self.data, start, start + SEARCH_BYTES + 1)
            if found:
                return found.start()
        raise InvalidImage("the JPEG is cut short")

    def _segment(self, marker: int, start: int) -> int:
        self.segments += 1
        if self.segments > self.most_parts:
            raise TooManyParts
        if marker in self._ALONE:
            return start + 2
        if start + 4 > len(self.data):
            raise InvalidImage("the JPEG is cut short")
        length = int.from_bytes(self.data[start + 2 : start + 4])
        end: int = start + 2 + length
        if length < 2 or end > len(self.data):
            raise InvalidImage("the JPEG is cut short")
        if marker in self._FRAMES:
            self._frame(start, length)
        elif marker in self._OTHER_FRAMES:
            raise InvalidImage("this kind of JPEG is lossless or hierarchical, which browsers cannot show")
        elif marker == self._SCAN:
            self._scan()
        elif marker not in self._TABLES and not self._wanted(marker, start, end):
            return end
        self.ranges.keep(start, end)
        return end

    def _frame(self, start: int, length: int) -> None:
        if self.size is not None or length < 8:
            raise InvalidImage("the JPEG has more than one frame")
        precision, height, width = unpack_from(">BHH", self.data, start + 4)
        if precision != 8:
            raise InvalidImage("only JPEG of 8 bits a channel is supported")
        _check_size(width, height)
        self.size = width, height

    def _scan(self) -> None:
        if self.size is None:
            raise InvalidImage("the JPEG has a scan before its frame")
        self.scans += 1
        if self.scans > MAX_SCANS:
            raise InvalidImage(f"the JPEG has more than {MAX_SCANS} scans; save it as baseline")

    def _wanted(self, marker: int, start: int, end: int) -> bool:
        """Of the application segments: JFIF, Adobe's colour transform, one EXIF, and the colour profile."""
        body = self.data[start + 4 : min(end, start + 20)]
        if marker in (0xE0, 0xEE):
            return body.startswith((b"JFIF\0", b"Adobe"))
        if marker == 0xE1 and body.startswith(b"Exif\0") and not self.exif:
            self.exif = True
            return True
        if marker == 0xE2 and body.startswith(b"ICC_PROFILE\0"):
            self.profile_bytes += end - start
            if self.profile_bytes > MAX_PROFILE_BYTES:
                raise InvalidImage("its colour profile is over 4 MB")
            return True
        return False


class _Png:
    _KEPT: Final = frozenset((b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"iCCP", b"sRGB", b"eXIf"))
    _CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
    _DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}

    def __init__(self, data: mmap, most_parts: int) -> None:
        self.data = data
        self.most_parts = most_parts
        self.ranges = _Ranges()
        self.size: tuple[int, int] | None = None
        self.colour = 0
        self.data_bytes = 0  # that may still come
        self.seen: set[bytes] = set()

    def walk(self) -> Inspected:
        self.ranges.keep(0, 8)
        for count, (kind, start, end) in enumerate(self._chunks()):
            if count > self.most_parts:
                raise TooManyParts
            if self.size is None and kind != b"IHDR":
                raise InvalidImage("the PNG does not begin with its header")
            self._chunk(kind, start, end)
            if kind == b"IEND":
                break
        else:
            raise InvalidImage("the PNG is cut short")
        if self.size is None or b"IDAT" not in self.seen:
            raise InvalidImage("the PNG has no picture in it")
        if self.colour == 3 and b"PLTE" not in self.seen:
            raise InvalidImage("the PNG has no palette")
        return Inspected(Format.PNG, *self.size, b"", self.ranges.all())

    def _chunks(self) -> Iterator[tuple[bytes, int, int]]:
        position = 8
        while position + 12 <= len(self.data):
            (length,) = unpack_from(">I", self.data, position)
            end = position + 12 + length
            if end > len(self.data):
                return
            yield self.data[position + 4 : position + 8], position, end
            position = end

    def _chunk(self, kind: bytes, start: int, end: int) -> None:
        if kind not in self._KEPT:
            if not kind[:1].islower():
                raise InvalidImage("the PNG has a chunk that no decoder knows")
            return
        if kind in self.seen and kind != b"IDAT":
            if kind[:1].isupper():
                raise InvalidImage("the PNG has a part twice that may be there once")
            return
        if kind == b"IDAT":
            self._count_data(end - start - 12)
        self._check_sum(start, end)
        if kind == b"IHDR":
            self._header(start, end)
        elif kind == b"iCCP":
            self._check_profile(start, end)
        elif kind == b"eXIf" and end - start > MAX_EXIF_BYTES:
            return
        self.seen.add(kind)
        self.ranges.keep(start, end)

    def _check_sum(self, start: int, end: int) -> None:
        with memoryview(self.data) as view, view[start + 4 : end - 4] as body:
            if zlib.crc32(body) != unpack_from(">I", self.data, end - 4)[0]:
                raise InvalidImage("the PNG is damaged: a check sum is wrong")

    def _header(self, start: int, end: int) -> None:
        if end - start != 25:
            raise InvalidImage("the PNG has a header of a wrong length")
        width, height, depth, colour, compression, filtering, interlace = unpack_from(
            ">IIBBBBB", self.data, start + 8
        )
        if depth not in self._DEPTHS.get(colour, ()) or compression or filtering or interlace > 1:
            raise InvalidImage("the PNG's header is not valid")
        _check_size(width, height)
        self.size = width, height
        self.colour = colour
        row_bytes = 1 + (width * depth * self._CHANNELS[colour] + 7) // 8
        self.data_bytes = 2 * height * row_bytes + SPARE_DATA_BYTES

    def _count_data(self, length: int) -> None:
        self.data_bytes -= length
        if self.data_bytes < 0:
            raise InvalidImage("the PNG has more data than its picture can need")

    def _check_profile(self, start: int, end: int) -> None:
        name_end = self.data.find(b"\0", start + 8, min(end - 4, start + 8 + 80))
        if name_end < 0:
            raise InvalidImage("its colour profile is damaged")
        inflater = zlib.decompressobj()
        try:
            size = len(inflater.decompress(self.data[name_end + 2 : end - 4], MAX_PROFILE_BYTES + 1))
        except zlib.error as error:
            raise InvalidImage("its colour profile is damaged") from error
        if size > MAX_PROFILE_BYTES:
            raise InvalidImage("its colour profile is over 4 MB")


class _Webp:
    _STILL: Final = frozenset((b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ICCP", b"EXIF", b"ANIM", b"ANMF"))

    def __init__(self, data: mmap, most_parts: int) -> None:
        self.data = data
        self.most_parts = most_parts
        self.ranges = _Ranges()
        self.size: tuple[int, int] | None = None
        self.seen: set[bytes] = set()

    def walk(self) -> Inspected:
        kept_bytes = 4
        for count, (kind, start, end) in enumerate(self._chunks()):
            if count > self.most_parts:
                raise TooManyParts
            if self._wanted(kind, start, end):
                self.seen.add(kind)
                self.ranges.keep(start, end)
                kept_bytes += end - start
        if self.size is None or not self.seen & {b"VP8 ", b"VP8L", b"ANMF"}:
            raise InvalidImage("the WebP has no picture in it")
        prefix = b"RIFF" + kept_bytes.to_bytes(4, "little") + b"WEBP"
        return Inspected(Format.WEBP, *self.size, prefix, self.ranges.all())

    def _chunks(self) -> Iterator[tuple[bytes, int, int]]:
        limit = 8 + unpack_from("<I", self.data, 4)[0]
        if limit > len(self.data):
            raise InvalidImage("the WebP is cut short")
        position = 12
        while position + 8 <= limit:
            kind = self.data[position : position + 4]
            (length,) = unpack_from("<I", self.data, position + 4)
            end = position + 8 + length + length % 2
            if position + 8 + length > limit:
                raise InvalidImage("the WebP is cut short")
            yield kind, position, min(end, limit)
            position = end

    def _wanted(self, kind: bytes, start: int, end: int) -> bool:
        if kind not in self._STILL:
            return False
        if kind in self.seen and kind != b"ANMF":
            return False
        if kind == b"ICCP" and end - start > MAX_PROFILE_BYTES:
            raise InvalidImage("its colour profile is over 4 MB")
        if kind == b"EXIF" and end - start > MAX_EXIF_BYTES:
            return False
        if kind in (b"VP8X", b"VP8 ", b"VP8L"):
            size = self._size(kind, start + 8, end)
            _check_size(*size)
            if self.size is not None and size != self.size:
                raise InvalidImage("the WebP's picture does not fit its canvas")
            self.size = size
        # Of an animation, the first frame is all that is shown; a still has none.
        return not (kind == b"ANMF" and kind in self.seen)

    def _size(self, kind: bytes, start: int, end: int) -> tuple[int, int]:
        if end - start < 10 and not (kind == b"VP8L" and end - start >= 5):
            raise InvalidImage("the WebP is cut short")
        body = self.data[start : start + 10]
        if kind == b"VP8X":
            return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
        if kind == b"VP8L":
            bits = int.from_bytes(body[1:5], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        if body[3:6] != b"\x9d\x01\x2a":
            raise InvalidImage("the WebP has no key frame")
        width, height = unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
