"""How large a picture may be: 10,485,760 bytes exactly, however the body is sent."""

from collections.abc import Callable

import httpx2
import pytest

from tests import pictures
from tests.e2e import calls
from tests.e2e.calls import MULTIPART, form, part, refusal

LIMIT = 10_485_760  # as it is documented, wherever the code has it from
USER = part("user_id", b"12345")


def jpeg_of(size: int) -> bytes:
    """A JPEG with bytes behind its end."""
    return pictures.jpeg().ljust(size, b"\0")


def png_of(size: int) -> bytes:
    """A PNG with a private chunk."""
    plain = pictures.png()
    return pictures.with_chunks(plain, [pictures.chunk(b"prVt", bytes(size - len(plain) - 12))])


def webp_of(size: int) -> bytes:
    """A WebP with bytes behind its end."""
    return pictures.webp().ljust(size, b"\0")


def send(api: httpx2.Client, body: bytes, framing: str) -> httpx2.Response:
    content = body if framing == "length" else calls.chunked(body)
    return api.post("/v1/upload", content=content, headers=MULTIPART)


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("make", [jpeg_of, png_of, webp_of])
def test_exactly_the_limit_is_accepted_and_one_byte_more_is_not(
    api: httpx2.Client, make: Callable[[int], bytes], framing: str
) -> None:
    picture = make(LIMIT)
    assert len(picture) == LIMIT
    accepted = send(api, form(USER, part("image", picture)), framing)
    assert accepted.status_code == 200, accepted.text
    assert accepted.json()["file_size"] == LIMIT
    refused = send(api, form(USER, part("image", make(LIMIT + 1))), framing)
    assert refusal(refused) == (413, "FILE_TOO_LARGE")


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_the_form_around_the_largest_picture_may_be_as_large_as_a_form_gets(
    api: httpx2.Client, framing: str
) -> None:
    parts = (
        USER,
        part("more", bytes(16_384)),
        part("image", jpeg_of(LIMIT), f'filename="{"x" * 255}"'),
    )
    assert send(api, form(*parts), framing).status_code == 200


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_fifty_megabytes_get_an_answer_that_can_be_read(api: httpx2.Client, framing: str) -> None:
    body = form(USER, part("image", bytes(50 * 1024 * 1024)))
    assert refusal(send(api, body, framing)) == (413, "FILE_TOO_LARGE")
    assert api.get("/v1/images").status_code == 200
