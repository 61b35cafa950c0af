"""Uploads with an Idempotency-Key: a retry stores nothing twice."""

import asyncio
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import asyncpg
import httpx2
import pytest

from deploy.local import postgres
from tests import pictures
from tests.e2e import calls
from tests.e2e.calls import refusal
from tests.stack import Stack

PICTURE: Final = pictures.jpeg(300, 200)
OTHER: Final = pictures.jpeg(301, 200)


def new_key() -> str:
    return str(uuid.uuid4())


def upload(api: httpx2.Client, key: str, picture: bytes = PICTURE, user_id: str = "idem") -> httpx2.Response:
    return api.post(
        "/v1/upload",
        data={"user_id": user_id},
        files={"image": ("a.jpg", picture)},
        headers={"Idempotency-Key": key},
    )


def count(api: httpx2.Client, user_id: str) -> int:
    return len(api.get("/v1/images", params={"user_id": user_id, "limit": 100}).json()["images"])


def age_keys(stack: Stack, interval: str) -> None:
    async def run() -> None:
        connection: Any = await asyncpg.connect(postgres.url(stack.state))
        await connection.execute(
            f"UPDATE ingest.idempotency_keys SET created_at = created_at - interval '{interval}'"
        )
        await connection.close()

    asyncio.run(run())


def test_a_retry_is_answered_as_the_first_was_and_stores_nothing(api: httpx2.Client) -> None:
    key, user_id = new_key(), new_key()
    first = upload(api, key, user_id=user_id)
    assert first.status_code == 200
    for _ in range(3):
        again = upload(api, key, user_id=user_id)
        assert (again.status_code, again.content) == (200, first.content)
    assert count(api, user_id) == 1


def test_a_retry_may_be_another_form_of_the_same(api: httpx2.Client) -> None:
    """Its boundary, the order of its parts, their names of files and their types differ."""
    key = new_key()
    first = upload(api, key, user_id="idem")
    parts = [
        calls.part("image", PICTURE, 'filename="other.png"', content_type="image/gif"),
        calls.part("user_id", b" idem "),
    ]
    headers = calls.MULTIPART | {"Idempotency-Key": f'"{key}"'}
    again = api.post("/v1/upload", content=calls.form(*parts), headers=headers)
    assert again.content == first.content


@pytest.mark.parametrize(("picture", "user_id"), [(OTHER, "idem"), (PICTURE, "somebody else"), (OTHER, "x")])
def test_the_same_key_for_something_else_is_refused(api: httpx2.Client, picture: bytes, user_id: str) -> None:
    key = new_key()
    first = upload(api, key)
    assert refusal(upload(api, key, picture, user_id)) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert upload(api, key).content == first.content


def test_another_key_is_another_upload(api: httpx2.Client) -> None:
    user_id = new_key()
    made = {upload(api, new_key(), user_id=user_id).json()["image_id"] for _ in range(2)}
    made.add(calls.upload(api, PICTURE, user_id)["image_id"])
    assert len(made) == count(api, user_id) == 3


def test_accounts_have_their_own_keys(api: httpx2.Client, stranger: httpx2.Client) -> None:
    key = new_key()
    mine, theirs = upload(api, key), upload(stranger, key, OTHER)
    assert (mine.status_code, theirs.status_code) == (200, 200)
    assert mine.json()["image_id"] != theirs.json()["image_id"]


@pytest.mark.parametrize(
    ("picture", "user_id", "expected"),
    [
        (b"no picture", "idem", (400, "INVALID_IMAGE_FORMAT")),
        (PICTURE[: len(PICTURE) // 2], "idem", (400, "INVALID_IMAGE_FORMAT")),
        (PICTURE, " ", (400, "MISSING_USER_ID")),
        (b"\0" * (10 * 1024 * 1024 + 1), "idem", (413, "FILE_TOO_LARGE")),
    ],
)
def test_a_refusal_does_not_use_up_the_key(
    api: httpx2.Client, picture: bytes, user_id: str, expected: tuple[int, str]
) -> None:
    key = new_key()
    assert refusal(upload(api, key, picture, user_id)) == expected
    assert upload(api, key).status_code == 200


def test_being_unavailable_does_not_use_up_the_key(stack: Stack, api: httpx2.Client) -> None:
    key, user_id = new_key(), new_key()
    incoming = stack.state.home / "objects" / "incoming"
    incoming.rename(incoming.with_name("unmounted"))
    try:
        assert refusal(upload(api, key, user_id=user_id)) == (503, "SERVICE_UNAVAILABLE")
    finally:
        incoming.with_name("unmounted").rename(incoming)
    assert upload(api, key, user_id=user_id).status_code == 200
    assert count(api, user_id) == 1


@pytest.mark.parametrize("sent", ["", '""', "k" * 256, "a\tb", "é"])
def test_what_is_no_key_is_refused(api: httpx2.Client, sent: str) -> None:
    headers = {b"Idempotency-Key": sent.encode()}
    answer = api.post("/v1/upload", data={"user_id": "1"}, files={"image": PICTURE}, headers=headers)
    assert refusal(answer) == (400, "INVALID_REQUEST")
    assert "Idempotency-Key" in answer.json()["error"]["details"]


def test_the_longest_key_counts_whole(api: httpx2.Client) -> None:
    keys = ["k" * 254 + end for end in "ab"]
    made = [upload(api, key, user_id=new_key()) for key in keys]
    assert [answer.status_code for answer in made] == [200, 200]


def test_a_key_is_forgotten_after_a_day(stack: Stack, api: httpx2.Client) -> None:
    key = new_key()
    first = upload(api, key)
    age_keys(stack, "23:59:00")
    assert upload(api, key).content == first.content
    age_keys(stack, "00:01:00")
    again = upload(api, key, OTHER)
    assert again.status_code == 200
    assert again.json()["image_id"] != first.json()["image_id"]
    assert api.get(f"/v1/images/{first.json()['image_id']}").status_code == 200


def test_of_fifty_at_once_one_is_stored(stack: Stack, key: str, api: httpx2.Client) -> None:
    idempotency_key, user_id = new_key(), new_key()
    with calls.client(stack, key) as client, ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda _: upload(client, idempotency_key, user_id=user_id), range(50)))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses.keys() <= {200, 409}
    assert statuses[200] >= 1
    assert len({answer.content for answer in answers if answer.status_code == 200}) == 1
    for answer in answers:
        if answer.status_code == 409:
            assert refusal(answer) == (409, "IDEMPOTENCY_KEY_IN_USE")
            assert int(answer.headers["retry-after"]) > 0
    assert count(api, user_id) == 1
    assert upload(api, idempotency_key, user_id=user_id).status_code == 200


def test_the_key_goes_with_the_picture(api: httpx2.Client, cdn: httpx2.Client) -> None:
    key = new_key()
    first = upload(api, key).json()["image_id"]
    assert api.delete(f"/v1/images/{first}").status_code == 200
    second = upload(api, key).json()["image_id"]
    assert second != first
    assert cdn.get(f"/{second}").status_code == 200
    assert refusal(cdn.get(f"/{first}")) == (404, "IMAGE_NOT_FOUND")


def test_other_calls_take_no_notice_of_a_key(api: httpx2.Client) -> None:
    assert api.get("/v1/images", headers={"Idempotency-Key": "k" * 300}).status_code == 200
