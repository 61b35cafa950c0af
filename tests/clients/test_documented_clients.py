"""The clients of the public documentation work as they stand, but for the base URL."""

import re
from pathlib import Path

import pytest
import pyvips

from tests.clients.conftest import Client

KIB = 1024
MIB = 1024 * KIB


def test_a_client_uploads_and_gets_a_size_from_the_url_in_the_answer(
    client: Client, key: str, picture: Path, tmp_path: Path
) -> None:
    rendering = tmp_path / "rendering"
    printed = client.upload(picture, key, rendering)
    assert re.fullmatch(r"https?://[^/]+/img_[0-9a-f]{16}", printed)
    image = pyvips.Image.new_from_file(str(rendering))
    assert (image.width, image.height, image.get("vips-loader")) == (150, 150, "jpegload")


def test_a_client_reads_the_code_of_a_refused_key(client: Client, picture: Path, tmp_path: Path) -> None:
    rendering = tmp_path / "rendering"
    assert client.upload(picture, "up_live_wrong", rendering) == "INVALID_API_KEY"
    assert not rendering.exists()


def test_a_client_reads_the_code_of_a_file_that_is_no_picture(
    client: Client, key: str, tmp_path: Path
) -> None:
    text = tmp_path / "avatar.jpg"
    text.write_text("not a picture")
    assert client.upload(text, key, tmp_path / "rendering") == "INVALID_IMAGE_FORMAT"


@pytest.mark.parametrize("size", [10 * MIB + 1, 12 * MIB, 50 * MIB])
def test_a_client_reads_that_its_file_is_too_large(
    client: Client, key: str, tmp_path: Path, size: int
) -> None:
    large = tmp_path / "large.jpg"
    with large.open("wb") as file:
        file.write(b"\xff\xd8\xff\xe0")
        file.truncate(size)
    assert client.upload(large, key, tmp_path / "rendering") == "FILE_TOO_LARGE"


def test_a_client_with_a_refused_key_and_a_large_file_reads_the_answer(
    client: Client, tmp_path: Path
) -> None:
    large = tmp_path / "large.jpg"
    with large.open("wb") as file:
        file.truncate(9 * MIB)
    assert client.upload(large, "up_live_wrong", tmp_path / "rendering") == "INVALID_API_KEY"
