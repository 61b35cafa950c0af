"""Pixels: every master gives exactly what was asked for."""

from pathlib import Path

import pytest
import pyvips

from libs.pictures import Format, Rendition, best_rung
from services.ingest.renditions import decode, make
from services.transform.masters import Master
from services.transform.options import Options, resolve
from services.transform.render import render
from tests import pictures


def masters(data: bytes, uploaded: Format, folder: Path) -> dict[str, Master]:
    return {
        one.name: Master(one.path.read_bytes(), one.meta)
        for one in make(decode(data, uploaded), uploaded, folder)
    }


def rendered(of: dict[str, Master], options: Options) -> pyvips.Image:
    meta: Rendition = of["full"].meta
    output = resolve(options, meta)
    if output is None:
        return pyvips.Image.new_from_buffer(of["full"].data, "")
    name = best_rung(meta.full_width, meta.full_height, options.longer_side)
    return pyvips.Image.new_from_buffer(render(of[name], output), "")


SIZES = [(1, 1), (1, None), (None, 1), (7, 300), (150, 150), (333, None), (None, 1111), (900, 5), (4096, 64)]


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 700), (700, 1), (199, 201), (1300, 1290), (5000, 3), (3000, 700)]
)
@pytest.mark.parametrize("kind", Format)
def test_every_size_of_every_shape_is_met_exactly(
    size: tuple[int, int], kind: Format, tmp_path: Path
) -> None:
    data = pictures.gradient(*size).write_to_buffer(f".{kind.value}")
    of = masters(data, kind, tmp_path)
    for width, height in SIZES:
        options = Options(width, height, format=Format.JPEG)
        try:
            output = resolve(options, of["full"].meta)
        except Exception:
            continue
        image = rendered(of, options)
        meta = of["full"].meta
        expected = (output.width, output.height) if output else (meta.full_width, meta.full_height)
        assert (image.width, image.height) == expected
        image.avg()


def test_a_long_picture_scaled_to_cover_shows_its_middle(tmp_path: Path) -> None:
    data = pictures.gradient(12_000, 10).pngsave_buffer()
    image = rendered(masters(data, Format.PNG, tmp_path), Options(100, 4096))
    assert (image.width, image.height) == (100, 4096)
    red, green, _ = (image[band].avg() for band in range(3))
    assert abs(red - 127.5) < 3
    assert abs(green - 127.5) < 3


@pytest.mark.parametrize("width", [20, 60, 300])
def test_transparency_is_kept_in_png_and_webp_and_white_in_jpeg(width: int, tmp_path: Path) -> None:
    transparent = pictures.gradient(60, 40).bandjoin(0).copy(interpretation="srgb")
    of = masters(transparent.pngsave_buffer(), Format.PNG, tmp_path)
    for kind in (Format.PNG, Format.WEBP):
        assert rendered(of, Options(width, format=kind))[3].max() == 0
    assert rendered(of, Options(width, format=Format.JPEG)).min() > 250


def test_quality_changes_jpeg_and_webp_and_not_png(tmp_path: Path) -> None:
    of = masters(pictures.jpeg(600, 400), Format.JPEG, tmp_path)
    meta = of["full"].meta
    for kind in Format:
        low, high = (resolve(Options(100, None, quality, kind), meta) for quality in (10, 95))
        assert low
        assert high
        sizes = len(render(of["320"], low)), len(render(of["320"], high))
        assert sizes[0] == sizes[1] if kind is Format.PNG else sizes[0] < sizes[1]


@pytest.mark.parametrize("kind", Format)
def test_an_output_is_its_format_and_holds_no_metadata(kind: Format, tmp_path: Path) -> None:
    of = masters(pictures.jpeg(600, 400), Format.JPEG, tmp_path)
    image = rendered(of, Options(100, format=kind))
    assert (
        image.get("vips-loader")
        == {"jpg": "jpegload_buffer", "png": "pngload_buffer", "webp": "webpload_buffer"}[kind]
    )
    assert not {field for field in image.get_fields() if "exif" in field or "xmp" in field or "icc" in field}
