"""The short way gives what the long one gives, picture after picture."""

import pytest
import pyvips

from libs.pictures import Format, Rendition
from services.transform.masters import Master
from services.transform.options import Options, Output, resolve
from services.transform.quick import Quick, is_quick
from services.transform.render import render
from tests import pictures

JFIF = pictures.segment(0xE0, b"JFIF\0" + bytes(9))  # which libvips leaves out


def master(seed: int, bands: int, width: int = 480, height: int = 320) -> Master:
    noise = pyvips.Image.gaussnoise(width, height, sigma=30, seed=seed).gaussblur(1)
    pixels = (pictures.gradient(width, height, bands) + noise).cast("uchar").write_to_memory()
    return Master(
        pixels,
        Rendition(
            width=width,
            height=height,
            bands=bands,
            format="raw",
            full_width=3000,
            full_height=2000,
            uploaded=Format.JPEG,
        ),
    )


def output(options: Options, of: Master) -> Output:
    resolved = resolve(options, of.meta)
    assert resolved
    assert is_quick(of, resolved)
    return resolved


def check(quick: Quick, options: Options, of: Master) -> None:
    wanted = output(options, of)
    ours, theirs = quick.render(of, wanted), render(of, wanted)
    assert len(ours) - len(theirs) == len(JFIF)
    mine, plain = (pyvips.Image.new_from_buffer(data, "") for data in (ours, theirs))
    assert mine.get("jpeg-chroma-subsample") == plain.get("jpeg-chroma-subsample")
    assert (mine.width, mine.height) == (wanted.width, wanted.height)
    assert (mine - plain).abs().max() == 0


@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize("quality", [1, 40, 85, 89, 90, 100])
def test_a_quick_render_is_the_pixels_of_a_long_one(quality: int, bands: int) -> None:
    check(Quick(), Options(150, 150, quality, Format.JPEG), master(1, bands))


@pytest.mark.parametrize("bands", [3, 4])
def test_no_picture_shows_in_the_next_one_of_its_size(bands: int) -> None:
    quick = Quick()
    for seed in (1, 2, 1, 3):
        for options in (Options(150, 150), Options(150), Options(1, 1), Options(200, 5), Options(150, 150)):
            check(quick, options, master(seed, bands))


def test_pictures_of_many_sizes_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.transform.quick.PIPELINES_BYTES", 3_000_000)
    quick = Quick()
    for seed in range(3):
        for width in (480, 400, 320, 500, 427):
            check(quick, Options(100, 100), master(seed, 3, width))


def test_what_is_large_or_stored_as_a_file_takes_the_long_way() -> None:
    of = master(1, 3)
    large = resolve(Options(400, 400), of.meta)
    assert large
    assert not is_quick(of, large)
    webp = resolve(Options(100, format=Format.WEBP), of.meta)
    assert webp
    assert not is_quick(of, webp)
