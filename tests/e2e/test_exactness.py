"""Served pictures against the originals: size, format and orientation to the pixel, and the pixels too.

How pixels are measured: the original is decoded, turned upright and resized by libvips alone (`pixels.py`);
the stack is asked for the same size with `f=png`, so that nothing is lost after the resize; the figure is the
mean over all pixels of the absolute difference, for each channel by itself, of 255. What is left is the cost
of the renditions: a JPEG or WebP is stored once more, and a small size is made from one that is already
smaller. `pytest -s` prints the figures.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest
import pyvips

from tests.corpus import corpus
from tests.e2e import calls, pixels

CLOSE = 2  # of 255
WRONG_TURN = 20
PHOTOS = ("photos/landscape-2725x2225.jpg", "photos/astronaut.png", "photos/cat.png")
FAMILIES = ("Landscape", "Portrait")
TURNED = tuple(f"exif-orientation/{family}_{turn}.jpg" for family in FAMILIES for turn in range(9))

# Width, height; None where the parameter is not sent.
SIZES = (
    (150, 150),  # the documented thumbnail
    (400, None),
    (None, 150),
    (37, 211),  # a narrow crop
    (500, 60),  # a flat one
    (16, None),
)
LARGE_SIZES = (
    ("photos/landscape-2725x2225.jpg", None, None),
    ("photos/landscape-2725x2225.jpg", 1280, None),
    ("photos/landscape-2725x2225.jpg", 1000, 1000),
    ("photos/astronaut.png", None, None),
    ("photos/astronaut.png", 1000, None),  # larger than the original
    ("photos/cat.png", 1234, 777),
    ("exif-orientation/Landscape_6.jpg", None, None),
    ("exif-orientation/Portrait_7.jpg", None, 1100),
    ("exif-orientation/Portrait_5.jpg", 1400, 900),
)
TABLE = [(name, *size) for name in (*PHOTOS, TURNED[6], TURNED[14]) for size in SIZES] + list(LARGE_SIZES)


class Uploaded(NamedTuple):
    image_id: str
    upright: pyvips.Image


class Shelf:
    """Uploads a picture of the corpus the first time that it is asked for."""

    def __init__(self, api: httpx2.Client) -> None:
        self._api = api
        self._uploaded: dict[str, Uploaded] = {}

    def __getitem__(self, name: str) -> Uploaded:
        if name not in self._uploaded:
            self._uploaded[name] = self._upload(corpus(name))
        return self._uploaded[name]

    def _upload(self, original: Path) -> Uploaded:
        answer = calls.upload(self._api, original.read_bytes())
        upright = pixels.upright(original)
        assert answer["dimensions"] == {"width": upright.width, "height": upright.height}
        assert answer["file_size"] == original.stat().st_size
        return Uploaded(answer["image_id"], upright)


@pytest.fixture(scope="module")
def shelf(api: httpx2.Client) -> Shelf:
    return Shelf(api)


@pytest.fixture(scope="module")
def figures() -> Iterator[list[str]]:
    lines = [f"{'picture':34}{'parameters':22}{'served':>12}  mean absolute difference of 255"]
    yield lines
    print("", *lines, sep="\n")  # noqa: T201 shown by pytest -s


def get(cdn: httpx2.Client, image_id: str, **parameters: object) -> bytes:
    sent = {name: str(value) for name, value in parameters.items() if value is not None}
    answer = cdn.get(f"/{image_id}", params=sent)
    assert answer.status_code == 200, answer.text
    return answer.content


def decode(data: bytes) -> pyvips.Image:
    return pyvips.Image.new_from_buffer(data, "").copy_memory()


@pytest.mark.parametrize(("name", "width", "height"), TABLE)
def test_the_pixels_are_those_of_the_original(
    shelf: Shelf, cdn: httpx2.Client, figures: list[str], name: str, width: int | None, height: int | None
) -> None:
    image_id, upright = shelf[name]
    served = decode(get(cdn, image_id, w=width, h=height, f="png"))
    assert (served.width, served.height) == pixels.size((upright.width, upright.height), width, height)
    wanted = pixels.reference(upright, width, height)
    apart = pixels.differences(served, wanted)
    asked = " ".join(f"{key}={value}" for key, value in (("w", width), ("h", height)) if value) or "-"
    shown = "  ".join(f"{value:.2f}" for value in apart)
    figures.append(f"{name:34}{asked:22}{f'{served.width}x{served.height}':>12}  {shown}")
    assert max(apart) < CLOSE
    assert pixels.best_turn(served, wanted) == 0


@pytest.mark.parametrize(
    ("name", "suffix", "expected"),
    [
        ("photos/landscape-2725x2225.jpg", "", ("jpg", 2725, 2225)),
        ("photos/landscape-2725x2225.jpg", "?w=300&f=webp&q=80", ("webp", 300, 245)),
        ("photos/landscape-2725x2225.jpg", ".png?h=99", ("png", 121, 99)),
        ("photos/landscape-2725x2225.jpg", "?w=4096&h=1", ("jpg", 4096, 1)),
        ("photos/landscape-2725x2225.jpg", "?w=1", ("jpg", 1, 1)),
        ("photos/astronaut.png", "", ("png", 512, 512)),
        ("photos/astronaut.png", "?w=100&h=200", ("png", 100, 200)),
        ("photos/astronaut.png", "?f=jpeg", ("jpg", 512, 512)),
        ("photos/astronaut.png", ".webp?w=513", ("webp", 513, 513)),
        ("photos/cat.png", "?w=400", ("png", 400, 266)),
        ("photos/cat.png", "?h=150&f=JPG", ("jpg", 226, 150)),
        ("photos/cat.png", ".png?f=webp", ("webp", 451, 300)),
        ("exif-orientation/Landscape_8.jpg", "", ("jpg", 1800, 1200)),
        ("exif-orientation/Landscape_8.jpg", "?w=600", ("jpg", 600, 400)),
        ("exif-orientation/Portrait_6.jpg", "", ("jpg", 1200, 1800)),
        ("exif-orientation/Portrait_6.jpg", "?w=600", ("jpg", 600, 900)),
    ],
)
def test_size_and_format_are_what_the_url_says(
    shelf: Shelf, cdn: httpx2.Client, name: str, suffix: str, expected: tuple[str, int, int]
) -> None:
    answer = cdn.get(f"/{shelf[name].image_id}{suffix}")
    served = decode(answer.content)
    assert (pixels.format_of(answer.content), served.width, served.height) == expected
    assert (
        answer.headers["content-type"]
        == {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}[expected[0]]
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_the_nine_files_of_an_orientation_family_come_out_alike(
    shelf: Shelf, cdn: httpx2.Client, figures: list[str], family: str
) -> None:
    """Each against its own original, and all against the first.

    The files themselves differ by up to 3.7 of 255 once upright: every one was compressed by itself. No wrong
    orientation is nearer than WRONG_TURN.
    """
    first = None
    for name in (name for name in TURNED if family in name):
        image_id, upright = shelf[name]
        whole = decode(get(cdn, image_id))
        assert (whole.width, whole.height) == ((1800, 1200) if family == "Landscape" else (1200, 1800))
        served = decode(get(cdn, image_id, w=300, h=300, f="png"))
        own = pixels.differences(served, pixels.reference(upright, 300, 300))
        first = first or served
        family_apart = max(pixels.differences(served, first))
        figures.append(
            f"{name:34}{'w=300 h=300':22}{'300x300':>12}  {max(own):.2f}, from _0: {family_apart:.2f}"
        )
        assert max(own) < CLOSE
        assert family_apart < 5
        assert pixels.best_turn(served, first) == 0
        assert pixels.wrong_turn(served, first) > WRONG_TURN


def test_quality_changes_the_bytes_and_not_the_picture(shelf: Shelf, cdn: httpx2.Client) -> None:
    image_id = shelf[PHOTOS[0]].image_id
    sizes = [len(get(cdn, image_id, w=400, q=quality)) for quality in (20, 60, 100)]
    assert sizes == sorted(set(sizes))
    assert get(cdn, image_id, w=400, q=85) == get(cdn, image_id, w=400)


def test_png_stays_lossless_whatever_the_quality(shelf: Shelf, cdn: httpx2.Client) -> None:
    image_id = shelf[PHOTOS[1]].image_id
    assert get(cdn, image_id, w=100, q=1, f="png") == get(cdn, image_id, w=100, f="png")
