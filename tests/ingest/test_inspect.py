"""The container walk: what may go to the decoder, and what is refused before it."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import pyvips

from libs.errors import ApiError
from libs.pictures import Format
from services.ingest.inspect import (
    MAX_PROFILE_BYTES,
    MAX_SCANS,
    SEARCH_BYTES,
    Inspected,
    InvalidImage,
    inspect,
)
from tests import forgeries, pictures

Walk = Callable[[bytes], tuple[Inspected, bytes]]
Make = Callable[[], bytes]
MAKERS = [pictures.jpeg, pictures.png, pictures.webp]


@pytest.fixture
def walk(tmp_path: Path) -> Walk:
    def run(data: bytes) -> tuple[Inspected, bytes]:
        path = tmp_path / "upload"
        path.write_bytes(data)
        inspected = inspect(path)
        kept = inspected.prefix + b"".join(data[start:end] for start, end in inspected.ranges)
        return inspected, kept

    return run


def refusal(walk: Walk, data: bytes) -> str:
    with pytest.raises(ApiError) as caught:
        walk(data)
    return f"{caught.value.problem.code}: {caught.value.details}"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (pictures.jpeg(61, 43), Format.JPEG),
        (pictures.jpeg(61, 43, interlace=True), Format.JPEG),
        (pictures.png(61, 43), Format.PNG),
        (pictures.png(61, 43, interlace=True), Format.PNG),
        (pictures.png(61, 43, palette=True), Format.PNG),
        (pictures.webp(61, 43), Format.WEBP),
        (pictures.webp(61, 43, lossless=True), Format.WEBP),
        (pictures.webp(61, 43, bands=4), Format.WEBP),
    ],
)
def test_a_plain_picture_passes_with_its_size(walk: Walk, data: bytes, kind: Format) -> None:
    inspected, kept = walk(data)
    assert (inspected.format, inspected.width, inspected.height) == (kind, 61, 43)
    assert pyvips.Image.new_from_buffer(kept, "").avg() == pyvips.Image.new_from_buffer(data, "").avg()


@pytest.mark.parametrize("make", MAKERS)
def test_what_follows_a_picture_never_reaches_the_decoder(walk: Walk, make: Make) -> None:
    _, clean = walk(make())
    _, kept = walk(make() + b"<script>alert(1)</script>" * 100)
    assert kept == clean


@pytest.mark.parametrize("shift", [-3, -2, -1, 0, 1])
def test_a_marker_is_found_where_two_slices_of_the_search_meet(walk: Walk, shift: int) -> None:
    data = pictures.jpeg()
    start = data.index(b"\xff\xda")
    coded = start + 2 + int.from_bytes(data[start + 2 : start + 4])
    long = data[:coded] + b"\1" * (SEARCH_BYTES + shift) + b"\xff\xd9"
    assert walk(long)[1] == long


@pytest.mark.parametrize("make", MAKERS)
def test_a_picture_cut_anywhere_before_its_data_is_refused(walk: Walk, make: Make) -> None:
    data = make()
    for length in range(1, len(data), max(1, len(data) // 50)):
        assert "INVALID_IMAGE_FORMAT" in refusal(walk, data[:length])


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", b"<svg/>", b"%PDF-1.7", b"\0\0\0\x1cftypavif", b"BM", b"II*\0", b"RIFF1234WAVE"]
)
def test_other_formats_are_refused_by_their_first_bytes(walk: Walk, data: bytes) -> None:
    assert refusal(walk, data).startswith(
        "INVALID_IMAGE_FORMAT: Only JPEG, PNG, and WebP files are supported"
    )


def test_text_and_private_chunks_of_a_png_are_left_out(walk: Walk) -> None:
    bomb = pictures.chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000)))
    _, clean = walk(pictures.png())
    _, kept = walk(pictures.with_chunks(pictures.png(), [bomb, pictures.chunk(b"prVt", b"x" * 1000)]))
    assert kept == clean


def test_comments_and_strange_segments_of_a_jpeg_are_left_out(walk: Walk) -> None:
    strange = [
        pictures.segment(0xFE, b"hello"),
        pictures.segment(0xE9, b"x" * 1000),
        pictures.segment(0xED, b"y"),
    ]
    _, clean = walk(pictures.jpeg())
    _, kept = walk(pictures.with_segments(pictures.jpeg(), strange))
    assert kept == clean


def test_only_the_first_exif_block_of_a_jpeg_is_kept(walk: Walk) -> None:
    first, second = (pictures.segment(0xE1, b"Exif\0\0" + text) for text in (b"first", b"second"))
    _, kept = walk(pictures.with_segments(pictures.jpeg(), [first, second]))
    assert b"first" in kept
    assert b"second" not in kept


@pytest.mark.parametrize(
    ("width", "height"), [(2_000_000_000, 2_000_000_000), (12_001, 1), (1, 12_001), (8000, 6251)]
)
def test_a_header_over_the_limits_is_refused_before_decoding(walk: Walk, width: int, height: int) -> None:
    data = pictures.png_of([pictures.header(width, height), pictures.chunk(b"IDAT"), pictures.chunk(b"IEND")])
    assert f"IMAGE_DIMENSIONS_TOO_LARGE: The picture is {width} x {height}" in refusal(walk, data)


def test_the_largest_sides_and_areas_pass(walk: Walk) -> None:
    for width, height in ((12_000, 1), (1, 12_000), (8000, 6250)):
        data = pictures.png_of(
            [pictures.header(width, height), pictures.chunk(b"IDAT"), pictures.chunk(b"IEND")]
        )
        assert walk(data)[0].width == width


def test_a_png_with_a_wrong_check_sum_is_refused(walk: Walk) -> None:
    data = bytearray(pictures.png())
    data[-20] ^= 1
    assert "check sum" in refusal(walk, bytes(data))


@pytest.mark.parametrize(("depth", "colour"), [(3, 0), (16, 3), (1, 2), (8, 5), (99, 2)])
def test_a_png_of_an_impossible_depth_is_refused(walk: Walk, depth: int, colour: int) -> None:
    data = pictures.png_of(
        [pictures.header(1, 1, depth, colour), pictures.chunk(b"IDAT"), pictures.chunk(b"IEND")]
    )
    assert "INVALID_IMAGE_FORMAT" in refusal(walk, data)


@pytest.mark.parametrize("interlace", [False, True])
@pytest.mark.parametrize(
    ("width", "height", "bits"), [(1, 12_000, 1), (8, 12_000, 1), (12_000, 3, 8), (500, 400, 8)]
)
def test_a_png_that_is_stored_and_not_compressed_passes(
    walk: Walk, width: int, height: int, bits: int, interlace: bool
) -> None:
    data = pictures.png(width, height, bands=1, compression=0, bitdepth=bits, interlace=interlace)
    assert walk(data)[0].height == height


def test_a_png_of_more_data_than_its_picture_can_need_is_refused(walk: Walk) -> None:
    assert "more data than its picture" in refusal(walk, forgeries.png_without_end())


def test_a_profile_that_inflates_past_its_limit_is_refused(walk: Walk) -> None:
    profile = pictures.chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(MAX_PROFILE_BYTES + 1)))
    assert "profile is over 4 MB" in refusal(walk, pictures.with_chunks(pictures.png(), [profile]))


def test_a_jpeg_of_too_many_scans_is_refused(walk: Walk) -> None:
    scan = pictures.segment(0xDA, b"\1\1\0\0\0\0") + b"\0"
    frame = pictures.segment(0xC2, struct.pack(">BHHB", 8, 8, 8, 1) + b"\1\x11\0")
    data = b"\xff\xd8" + frame + scan * (MAX_SCANS + 1) + b"\xff\xd9"
    assert "more than 100 scans" in refusal(walk, data)
    walk(b"\xff\xd8" + frame + scan * MAX_SCANS + b"\xff\xd9")


@pytest.mark.parametrize("marker", [0xC3, 0xC7, 0xCF])
def test_a_lossless_or_hierarchical_jpeg_is_refused(walk: Walk, marker: int) -> None:
    data = pictures.jpeg()
    at = data.index(b"\xff\xc0")
    assert "lossless or hierarchical" in refusal(walk, data[: at + 1] + bytes((marker,)) + data[at + 2 :])


def test_an_animated_webp_keeps_its_first_frame_only(walk: Walk) -> None:
    frames = pyvips.Image.arrayjoin([pictures.gradient(40, 30), pictures.gradient(40, 30).invert()], across=1)
    frames = frames.copy()
    frames.set_type(pyvips.GValue.gint_type, "page-height", 30)
    data = frames.webpsave_buffer()
    assert data.count(b"ANMF") == 2
    _, kept = walk(data)
    assert kept.count(b"ANMF") == 1
    assert pyvips.Image.new_from_buffer(kept, "").height == 30


def test_a_webp_whose_picture_does_not_fit_its_canvas_is_refused(walk: Walk) -> None:
    picture = pictures.webp(60, 40)
    still = picture[picture.index(b"VP8 ") + 8 :]
    canvas = struct.pack("<I", 0) + (9).to_bytes(3, "little") + (9).to_bytes(3, "little")
    data = pictures.riff([(b"VP8X", canvas), (b"VP8 ", still)])
    assert "does not fit its canvas" in refusal(walk, data)


def test_a_file_cut_into_a_million_parts_is_refused(walk: Walk) -> None:
    many = pictures.with_chunks(pictures.png(), [pictures.chunk(b"teXt")] * 60_000)
    assert "too many parts" in refusal(walk, many)
    many = pictures.with_segments(pictures.jpeg(), [pictures.segment(0xFE, b"")] * 60_000)
    assert "too many parts" in refusal(walk, many)


def test_the_reason_is_told_to_the_caller() -> None:
    assert "only JPEG" not in str(InvalidImage("the JPEG is cut short"))
    assert "the JPEG is cut short" in str(InvalidImage("the JPEG is cut short"))
