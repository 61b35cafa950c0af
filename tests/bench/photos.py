"""The pictures that are measured: a real photo at 6 and at 24 megapixels, and an avatar."""

import shutil
from pathlib import Path
from typing import Final

import pyvips

from tests.corpus import FOLDER

LANDSCAPE: Final = FOLDER / "photos" / "landscape-2725x2225.jpg"
LARGE_BYTES: Final = 5_000_000
AVATAR_BYTES: Final = 245_000


def landscape(folder: Path) -> Path:
    """The 6-megapixel photo that image libraries are measured with, copied to where it can be linked."""
    path = folder / LANDSCAPE.name
    if not LANDSCAPE.exists():
        raise SystemExit(f"the benchmark needs {LANDSCAPE.name}: set CORPUS_DIR")
    shutil.copyfile(LANDSCAPE, path)
    return path


def large(folder: Path) -> Path:
    """The same at 24 megapixels and at least 5 MB: twice as wide and high, with the noise of a sensor."""
    path = folder / "landscape-24mp.jpg"
    if not path.exists():
        image = _noisy(pyvips.Image.new_from_file(str(landscape(folder))).resize(2), sigma=4)
        path.write_bytes(_of_size(image, LARGE_BYTES))
    return path


def avatar(folder: Path) -> Path:
    """800 x 600 and about 245 KB, the upload of the public documentation."""
    path = folder / "avatar-800x600.jpg"
    if not path.exists():
        image = pyvips.Image.thumbnail(str(landscape(folder)), 800, height=600, crop="centre")
        path.write_bytes(_of_size(_noisy(image, sigma=3), AVATAR_BYTES))
    return path


def _noisy(image: pyvips.Image, sigma: float) -> pyvips.Image:
    noise = pyvips.Image.gaussnoise(image.width, image.height, sigma=sigma, mean=0, seed=1)
    return (image + noise).cast("uchar").copy(interpretation="srgb").copy_memory()


def _of_size(image: pyvips.Image, wanted: int) -> bytes:
    """As a JPEG at the lowest quality that reaches so many bytes."""
    low, high = 1, 100
    while low < high:
        middle = (low + high) // 2
        if len(image.jpegsave_buffer(Q=middle)) >= wanted:
            high = middle
        else:
            low = middle + 1
    return bytes(image.jpegsave_buffer(Q=low))
