"""POST /v1/upload: what it answers, and which forms it takes."""

import re
from datetime import UTC, datetime

import httpx2
import pytest

from libs.pictures import MAX_UPLOAD_BYTES
from tests import pictures
from tests.e2e import calls
from tests.e2e.calls import MULTIPART, form, part, refusal, send
from tests.stack import Stack

PICTURE = pictures.jpeg(80, 60)
USER = part("user_id", b"12345")
IMAGE = part("image", PICTURE, 'filename="avatar.jpg"', content_type="image/jpeg")


def test_the_answer_has_exactly_the_documented_fields(api: httpx2.Client, stack: Stack) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    answer = api.post("/v1/upload", data={"user_id": "12345"}, files={"image": ("avatar.jpg", PICTURE)})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    body = answer.json()
    image_id, uploaded = body["image_id"], body["upload_date"]
    assert body == {
        "success": True,
        "image_id": image_id,
        "user_id": "12345",
        "image_url": f"{stack.base_url}/{image_id}",
        "thumbnail_url": f"{stack.base_url}/{image_id}?w=150&h=150",
        "upload_date": uploaded,
        "file_size": len(PICTURE),
        "dimensions": {"width": 80, "height": 60},
    }
    assert re.fullmatch(r"img_[0-9a-f]{16}", image_id)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", uploaded)
    assert before <= datetime.fromisoformat(uploaded) <= datetime.now(UTC)


def test_both_urls_of_the_answer_work_at_once(api: httpx2.Client) -> None:
    body = calls.upload(api, PICTURE)
    with httpx2.Client() as browser:
        for url in (body["image_url"], body["thumbnail_url"]):
            answer = browser.get(url)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")


def test_one_picture_sent_twice_is_two_pictures(api: httpx2.Client) -> None:
    assert calls.upload(api, PICTURE)["image_id"] != calls.upload(api, PICTURE)["image_id"]


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((USER, IMAGE), id="user_id first"),
        pytest.param((IMAGE, USER), id="image first"),
        pytest.param((USER, part("image", PICTURE)), id="no file name, no type"),
        pytest.param((USER, part("image", PICTURE, 'filename=""')), id="empty file name"),
        pytest.param((USER, part("image", PICTURE, 'filename="../../etc/passwd"')), id="a path as file name"),
        pytest.param((USER, part("image", PICTURE, "filename*=UTF-8''%c3%a9.gif")), id="extended file name"),
        pytest.param((USER, part("image", PICTURE, content_type="text/plain")), id="another type"),
        pytest.param((part("more", b"?"), USER, part("and", b"", 'filename="x"'), IMAGE), id="unknown parts"),
        pytest.param((part("user_id", b"12345", 'filename="x"'), IMAGE), id="user_id as a file"),
    ],
)
def test_every_form_of_the_two_parts_is_taken(api: httpx2.Client, parts: tuple[bytes, ...]) -> None:
    answer = send(api, *parts)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["user_id"], body["file_size"]) == ("12345", len(PICTURE))


@pytest.mark.parametrize("size", [1, 7, 65_536])
def test_a_body_without_a_length_is_taken(api: httpx2.Client, size: int) -> None:
    pieces = calls.chunked(form(USER, IMAGE), size)
    answer = api.post("/v1/upload", content=pieces, headers=MULTIPART)
    assert answer.status_code == 200, answer.text
    assert answer.request.headers["transfer-encoding"] == "chunked"


@pytest.mark.parametrize("picture", [pictures.png(), pictures.webp(), pictures.jpeg()])
def test_only_the_bytes_say_what_a_picture_is(api: httpx2.Client, cdn: httpx2.Client, picture: bytes) -> None:
    answer = send(api, USER, part("image", picture, 'filename="x.gif"', content_type="image/gif"))
    media_type = cdn.get(f"/{answer.json()['image_id']}").headers["content-type"]
    assert media_type == {0xFF: "image/jpeg", 0x89: "image/png", 0x52: "image/webp"}[picture[0]]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("x", "x"),
        ("0012", "0012"),
        ("a" * 255, "a" * 255),
        ("ü" * 255, "ü" * 255),
        ("\U0001f600" * 255, "\U0001f600" * 255),
        (" \t12 345\r\n ", "12 345"),
        ("   " + "a" * 255 + "   ", "a" * 255),
        ("\u2003who\u00a0", "who"),
        ("Zoë Ωmega 名前", "Zoë Ωmega 名前"),
        ("../'\";--<b>", "../'\";--<b>"),
    ],
)
def test_a_user_id_is_trimmed_and_otherwise_kept(api: httpx2.Client, sent: str, kept: str) -> None:
    answer = send(api, part("user_id", sent.encode()), IMAGE)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["user_id"] == kept
    assert api.get(f"/v1/images/{body['image_id']}").json()["user_id"] == kept
    assert body["image_id"] in [
        image["image_id"] for image in api.get("/v1/images", params={"user_id": kept}).json()["images"]
    ]


@pytest.mark.parametrize("sent", [b"", b" ", b"\t\r\n ", "\u2003".encode()])
def test_a_user_id_of_nothing_is_missing(api: httpx2.Client, sent: bytes) -> None:
    assert refusal(send(api, part("user_id", sent), IMAGE)) == (400, "MISSING_USER_ID")


@pytest.mark.parametrize(
    "sent",
    [
        b"a" * 256,
        "ü".encode() * 256,
        b"a" * 100_000,
        b"a\0b",
        b"a\nb",
        b"a\x7fb",
        "a\u0085b".encode(),
        b"\xff\xfe",
        "\ud800".encode("utf-8", "surrogatepass"),
    ],
)
def test_a_user_id_too_long_or_with_control_characters_is_invalid(api: httpx2.Client, sent: bytes) -> None:
    assert refusal(send(api, part("user_id", sent), IMAGE)) == (400, "INVALID_USER_ID")


def test_a_form_without_a_user_id_is_refused(api: httpx2.Client) -> None:
    assert refusal(send(api, IMAGE)) == (400, "MISSING_USER_ID")


@pytest.mark.parametrize(
    "parts", [(USER,), (USER, part("image", b"", 'filename="a.jpg"')), (USER, part("Image", PICTURE))]
)
def test_a_form_without_an_image_is_refused(api: httpx2.Client, parts: tuple[bytes, ...]) -> None:
    assert refusal(send(api, *parts)) == (400, "MISSING_IMAGE")


@pytest.mark.parametrize(
    "image",
    [
        b"no picture at all",
        b"GIF89a" + bytes(40),
        b"<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'/>",
        b"\xff\xd8\xff",
        PICTURE[: len(PICTURE) // 2],
        pictures.png()[:-12],
        pictures.webp()[:-9],
        b"x" + PICTURE,
    ],
)
def test_what_is_no_picture_that_decodes_whole_is_refused(api: httpx2.Client, image: bytes) -> None:
    answer = send(api, USER, part("image", image, 'filename="a.jpg"'))
    assert refusal(answer) == (400, "INVALID_IMAGE_FORMAT")
    assert answer.json()["error"]["message"] == "The uploaded file is not a valid image format"
    assert answer.json()["error"]["details"].startswith("Only JPEG, PNG, and WebP files are supported")


@pytest.mark.parametrize("size", [(12_001, 1), (1, 12_001), (10_000, 5_001)])
def test_a_picture_of_too_many_pixels_is_refused(api: httpx2.Client, size: tuple[int, int]) -> None:
    header = pictures.header(*size)
    bomb = pictures.png_of([header, pictures.chunk(b"IDAT", b"x"), pictures.chunk(b"IEND")])
    assert refusal(send(api, USER, part("image", bomb))) == (400, "IMAGE_DIMENSIONS_TOO_LARGE")


def test_the_longest_side_allowed_is_taken(api: httpx2.Client) -> None:
    body = calls.upload(api, pictures.png(12_000, 2))
    assert body["dimensions"] == {"width": 12_000, "height": 2}


@pytest.mark.parametrize("name", ["user_id", "image"])
def test_a_part_sent_twice_is_refused(api: httpx2.Client, name: str) -> None:
    again = USER if name == "user_id" else IMAGE
    assert refusal(send(api, USER, IMAGE, again)) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"Content-Type": "multipart/form-data"}, "boundary"),
        ({"Content-Type": "multipart/form-data; boundary="}, "boundary"),
        ({"Content-Type": "application/json"}, "multipart/form-data"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "multipart/form-data"),
        ({"Content-Type": "multipart/mixed; boundary=x"}, "multipart/form-data"),
        ({}, "multipart/form-data"),
        ({"Content-Type": "multipart/form-data; boundary=another"}, "malformed"),
    ],
)
def test_what_is_no_form_is_refused_and_told_what_to_send(
    api: httpx2.Client, headers: dict[str, str], told: str
) -> None:
    answer = api.post("/v1/upload", content=form(USER, IMAGE), headers=headers)
    assert refusal(answer) == (400, "INVALID_REQUEST")
    assert told in answer.json()["error"]["details"]


@pytest.mark.parametrize(
    "body", [b"", form(USER, IMAGE)[:-30], b"--a-boundary\r\nno header\r\n", form(USER)[:-4] + b"\r\n"]
)
def test_a_form_that_ends_too_soon_is_refused(api: httpx2.Client, body: bytes) -> None:
    assert refusal(api.post("/v1/upload", content=body, headers=MULTIPART)) == (400, "INVALID_REQUEST")


WRONG = {"Authorization": "Bearer up_live_wrong"}
TOO_LONG = {"Content-Length": str(2 * MAX_UPLOAD_BYTES)}
BAD_IMAGE = part("image", b"no picture", 'filename="a.jpg"')
BAD_USER = part("user_id", b"a\0b")


@pytest.mark.parametrize(
    ("headers", "parts", "expected"),
    [
        (WRONG, (USER, USER), (401, "INVALID_API_KEY")),
        ({}, (BAD_USER, BAD_IMAGE, BAD_IMAGE), (400, "INVALID_REQUEST")),
        ({}, (BAD_IMAGE,), (400, "MISSING_USER_ID")),
        ({}, (BAD_USER,), (400, "INVALID_USER_ID")),
        ({}, (BAD_USER, BAD_IMAGE), (400, "INVALID_USER_ID")),
        ({}, (), (400, "MISSING_USER_ID")),
        ({}, (BAD_IMAGE, part("user_id", b" ")), (400, "MISSING_USER_ID")),
        ({}, (part("image", bytes(MAX_UPLOAD_BYTES + 1)),), (400, "MISSING_USER_ID")),
        ({}, (USER, BAD_IMAGE), (400, "INVALID_IMAGE_FORMAT")),
    ],
)
def test_of_several_faults_the_first_in_the_documented_order_is_told(
    api: httpx2.Client, headers: dict[str, str], parts: tuple[bytes, ...], expected: tuple[int, str]
) -> None:
    answer = api.post("/v1/upload", content=form(*parts), headers=MULTIPART | headers)
    assert refusal(answer) == expected


def test_a_length_over_the_limit_is_told_before_a_wrong_key(stack: Stack) -> None:
    head = [
        "POST /v1/upload HTTP/1.1",
        "Host: localhost",
        *(f"{name}: {value}" for name, value in (WRONG | TOO_LONG | MULTIPART).items()),
    ]
    answer = calls.exchange(stack, "\r\n".join([*head, "", ""]).encode())
    assert refusal(answer) == (413, "FILE_TOO_LARGE")
