"""The streamed form: what is kept of it, and what is refused."""

import io
from collections.abc import AsyncIterator

import pytest

from libs.errors import ApiError
from libs.pictures import MAX_UPLOAD_BYTES
from services.ingest.form import FORM_OVERHEAD_BYTES, Form, read_form
from services.ingest.uploads import parse

pytestmark = pytest.mark.anyio

TYPE = "multipart/form-data; boundary=b"


def part(name: str, content: bytes, extra: str = "") -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + content + b"\r\n"


END = b"--b--\r\n"
WHOLE = part("user_id", b"42") + part("image", b"bytes", '; filename="a.jpg"') + END


async def read(body: bytes, content_type: str | None = TYPE, step: int = 65536) -> tuple[Form, bytes]:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), step):
            yield body[start : start + step]

    spool = io.BytesIO()
    return await read_form(content_type, chunks(), spool), spool.getvalue()


async def refusal(body: bytes, content_type: str | None = TYPE) -> str:
    async def take() -> None:
        form, _ = await read(body, content_type)
        parse(form)

    with pytest.raises(ApiError) as caught:
        await take()
    return f"{caught.value.problem.code}: {caught.value.details}"


@pytest.mark.parametrize("step", [1, 2, 7, 65536])
async def test_a_form_is_read_alike_in_pieces_of_any_size(step: int) -> None:
    form, image = await read(WHOLE, step=step)
    assert (form.user_id, form.image_bytes, image) == (b"42", 5, b"bytes")


async def test_the_parts_may_come_in_either_order_and_with_others() -> None:
    body = part("extra", b"x") + part("image", b"bytes") + part("user_id", b"42") + END
    form, image = await read(body)
    assert (form.user_id, image) == (b"42", b"bytes")


async def test_an_image_without_a_file_name_is_an_image() -> None:
    form, image = await read(part("image", b"bytes") + END)
    assert (form.image_bytes, image) == (5, b"bytes")


async def test_a_part_named_with_a_boundary_inside_stays_whole() -> None:
    form, image = await read(part("image", b"a\r\n--bogus\r\n-- b") + part("user_id", b"1") + END)
    assert image == b"a\r\n--bogus\r\n-- b"
    assert form.user_id == b"1"


@pytest.mark.parametrize("name", ["user_id", "image"])
async def test_a_part_sent_twice_is_refused(name: str) -> None:
    assert f"INVALID_REQUEST: The part {name} was sent twice" in await refusal(part(name, b"1") * 2 + END)


async def test_a_form_without_a_boundary_says_what_to_do() -> None:
    assert "has no boundary" in await refusal(WHOLE, "multipart/form-data")


@pytest.mark.parametrize(
    "kind", [None, "", "application/json", "application/x-www-form-urlencoded", "text/plain"]
)
async def test_a_body_that_is_not_multipart_is_refused(kind: str | None) -> None:
    assert "INVALID_REQUEST: Send the form as multipart/form-data" in await refusal(WHOLE, kind)


async def test_a_form_that_ends_early_is_refused() -> None:
    for length in range(len(WHOLE) - len(END)):
        assert "INVALID_REQUEST" in await refusal(WHOLE[:length])


@pytest.mark.parametrize("body", [b"", b"garbage", b"--c\r\n\r\n", part("x", b"1") * 101 + END])
async def test_a_malformed_form_is_refused(body: bytes) -> None:
    assert "INVALID_REQUEST" in await refusal(body)


async def test_more_image_bytes_than_allowed_are_counted_and_not_kept() -> None:
    form, image = await read(part("image", bytes(MAX_UPLOAD_BYTES + 1)) + part("user_id", b"1") + END)
    assert form.image_bytes == MAX_UPLOAD_BYTES + 1
    assert len(image) <= MAX_UPLOAD_BYTES


async def test_the_largest_image_is_kept_whole() -> None:
    form, image = await read(part("image", bytes(MAX_UPLOAD_BYTES)) + part("user_id", b"1") + END)
    assert parse(form).file_size == len(image) == MAX_UPLOAD_BYTES


async def test_a_form_past_all_limits_ends_at_once() -> None:
    body = part("image", bytes(MAX_UPLOAD_BYTES + FORM_OVERHEAD_BYTES))
    assert "FILE_TOO_LARGE" in await refusal(body)


@pytest.mark.parametrize("user_id", [b"", b"  ", b"\t\r\n"])
async def test_an_empty_user_id_is_missing(user_id: bytes) -> None:
    assert "MISSING_USER_ID" in await refusal(part("user_id", user_id) + part("image", b"1") + END)


@pytest.mark.parametrize(
    "user_id", [b"a" * 256, b"a\0b", b"a\nb", b"\xff\xfe", "x\x85y".encode(), b"a" * 100_000]
)
async def test_a_user_id_out_of_bounds_is_refused(user_id: bytes) -> None:
    assert "INVALID_USER_ID" in await refusal(part("user_id", user_id) + part("image", b"1") + END)


@pytest.mark.parametrize("user_id", ["a" * 255, " 42 ", "Ünïcödé ☺", "ü" * 255, "0"])
async def test_a_user_id_is_kept_as_text_and_trimmed(user_id: str) -> None:
    form, _ = await read(part("user_id", user_id.encode()) + part("image", b"1") + END)
    assert parse(form).user_id == user_id.strip()


async def test_what_is_wrong_with_the_user_id_is_said_first() -> None:
    assert "MISSING_USER_ID" in await refusal(part("image", bytes(MAX_UPLOAD_BYTES + 1)) + END)
    assert "MISSING_USER_ID" in await refusal(part("x", b"1") + END)


@pytest.mark.parametrize("body", [part("user_id", b"1"), part("user_id", b"1") + part("image", b"")])
async def test_an_empty_image_is_missing(body: bytes) -> None:
    assert "MISSING_IMAGE" in await refusal(body + END)
