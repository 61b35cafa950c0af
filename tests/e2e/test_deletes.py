"""DELETE of a picture and of a user: gone from the API, from every size and format, and from the disk."""

import asyncio
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import asyncpg
import httpx2
import pytest

from deploy.local import postgres
from deploy.local.admin import delete_image
from deploy.local.settings import Settings
from libs.pictures import object_names
from tests import pictures
from tests.e2e import calls
from tests.e2e.calls import NOWHERE, refusal
from tests.stack import Stack

PICTURE: Final = pictures.jpeg(600, 400)
VARIANTS: Final = ["", "?w=150&h=150", "?w=77", "?w=300&f=webp&q=80", ".png", "?h=20&f=jpg"]
GONE: Final = (404, "IMAGE_NOT_FOUND")


def is_gone(cdn: httpx2.Client, image_id: str) -> bool:
    answers = [cdn.get(f"/{image_id}{variant}") for variant in (*VARIANTS, "?w=999", ".webp")]
    answers += [cdn.get(f"/{image_id}", headers={"If-None-Match": "*"})]
    assert cdn.head(f"/{image_id}").status_code == 404
    return all(refusal(answer) == GONE for answer in answers)


def objects_of(stack: Stack, image_id: str) -> list[Path]:
    folder = stack.state.home / "objects"
    paths = [folder / kind / image_id[-2:] / image_id for kind in ("originals", "renditions")]
    return [path for path in paths if path.exists()]


def query(stack: Stack, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    async def ask() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(postgres.url(stack.state))
        try:
            return [tuple(row) for row in await connection.fetch(sql, *values)]
        finally:
            await connection.close()

    return asyncio.run(ask())


def tables_naming(stack: Stack, text: str) -> list[str]:
    """The tables of all services with a row that holds `text` in any column."""
    tables = query(
        stack, "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('ingest', 'auth')"
    )
    names = [f"{schema}.{table}" for schema, table in tables]
    assert "ingest.images" in names
    return sorted(name for name in names if text in str(query(stack, f"SELECT * FROM {name}")))


def test_a_deleted_picture_is_gone_from_every_size(
    stack: Stack, api: httpx2.Client, cdn: httpx2.Client
) -> None:
    uploaded = calls.upload(api, PICTURE, "deletable")
    image_id = uploaded["image_id"]
    for variant in VARIANTS:
        assert cdn.get(f"/{image_id}{variant}").status_code == 200
        assert cdn.get(f"/{image_id}{variant}").headers["x-cache"] == "HIT"
    answer = api.delete(f"/v1/images/{image_id}")
    assert (answer.status_code, answer.json()) == (200, {"success": True, "image_id": image_id})
    assert answer.headers["cache-control"] == "no-store"
    assert is_gone(cdn, image_id)
    assert refusal(api.get(f"/v1/images/{image_id}")) == GONE
    assert api.get("/v1/images", params={"user_id": "deletable"}).json()["images"] == []
    assert objects_of(stack, image_id) == []


def test_a_second_delete_does_not_find_it(api: httpx2.Client) -> None:
    image_id = calls.upload(api, PICTURE)["image_id"]
    assert api.delete(f"/v1/images/{image_id}").status_code == 200
    assert refusal(api.delete(f"/v1/images/{image_id}")) == GONE


def test_of_deletes_at_the_same_time_one_finds_it(stack: Stack, key: str, api: httpx2.Client) -> None:
    image_id = calls.upload(api, PICTURE)["image_id"]
    with calls.client(stack, key) as client, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: client.delete(f"/v1/images/{image_id}").status_code, range(8)))
    assert sorted(answers) == [200] + [404] * 7


@pytest.mark.parametrize("image_id", [NOWHERE, "img_", "x", "img_000000000000000G"])
def test_what_does_not_exist_cannot_be_deleted(api: httpx2.Client, image_id: str) -> None:
    assert refusal(api.delete(f"/v1/images/{image_id}")) == GONE


def test_deleting_one_leaves_the_others(api: httpx2.Client, cdn: httpx2.Client) -> None:
    kept, gone = (calls.upload(api, PICTURE)["image_id"] for _ in range(2))
    api.delete(f"/v1/images/{gone}")
    assert cdn.get(f"/{kept}?w=50").status_code == 200
    assert api.get(f"/v1/images/{kept}").status_code == 200


def test_deleting_needs_a_key(cdn: httpx2.Client, image_id: str) -> None:
    assert refusal(cdn.delete(f"/v1/images/{image_id}")) == (401, "INVALID_API_KEY")
    assert refusal(cdn.delete("/v1/users/12345")) == (401, "INVALID_API_KEY")
    answer = cdn.delete(f"/{image_id}")
    assert refusal(answer) == (405, "METHOD_NOT_ALLOWED")


def test_a_users_pictures_are_gone_and_the_receipt_names_them(
    stack: Stack, api: httpx2.Client, stranger: httpx2.Client, cdn: httpx2.Client
) -> None:
    made = sorted(calls.upload(api, PICTURE, "user-to-forget")["image_id"] for _ in range(3))
    for image_id in made:
        cdn.get(f"/{image_id}?w=77")
    others = [
        (api, calls.upload(api, PICTURE, "user-to-keep")["image_id"]),
        (stranger, calls.upload(stranger, PICTURE, "user-to-forget")["image_id"]),
    ]
    answer = api.delete("/v1/users/user-to-forget")
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "user_id": "user-to-forget",
        "image_ids": made,
        "objects": 3 * 4,  # the original, the full rendition and two rungs of the ladder
        "nodes": 1,
    }
    for image_id in made:
        assert is_gone(cdn, image_id)
        assert objects_of(stack, image_id) == []
    for owner, image_id in others:
        assert owner.get(f"/v1/images/{image_id}").status_code == 200
        assert cdn.get(f"/{image_id}?w=77").status_code == 200


def test_nothing_is_left_that_names_the_user(stack: Stack, api: httpx2.Client) -> None:
    user_id = "a-user-of-whom-nothing-may-be-left"
    form: dict[str, Any] = {"data": {"user_id": user_id}, "files": {"image": ("a.jpg", PICTURE)}}
    assert api.post("/v1/upload", **form, headers={"Idempotency-Key": f"for {user_id}"}).status_code == 200
    assert calls.upload(api, PICTURE, user_id)
    assert tables_naming(stack, user_id) == ["ingest.idempotency_keys", "ingest.images"]
    assert api.delete(f"/v1/users/{user_id}").status_code == 200
    assert tables_naming(stack, user_id) == []
    stored = [path for folder in ("objects", "spool") for path in (stack.state.home / folder).rglob("*")]
    assert [path for path in stored if path.is_file() and user_id.encode() in path.read_bytes()] == []


@pytest.mark.parametrize(
    "user_id",
    [
        *("a/b", "/", "//", "a//b", "a/../b", "a/..", ".", "a/.", "50%", "a%2Fb", "%", "a?b", "a#b", "a b"),
        *("Zoë", "用户", "🙂", "\N{COMBINING DIAERESIS}", "a+b", "a&b=c", "a;b", 'a"b', "a\\b", "é" * 255),
    ],
)
def test_a_user_id_may_hold_anything(api: httpx2.Client, stack: Stack, key: str, user_id: str) -> None:
    made = calls.upload(api, pictures.png(4, 4), user_id)["image_id"]
    answer = delete_raw(stack, key, quote(user_id, safe="").replace(".", "%2E"))
    assert answer.status_code == 200
    body = answer.json()
    assert (body["user_id"], body["image_ids"]) == (user_id, [made])


def delete_raw(stack: Stack, key: str, path: str) -> httpx2.Response:
    """Of a user whose encoded id no client library has tidied."""
    head = f"DELETE /v1/users/{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
    return calls.exchange(stack, f"{head}Connection: close\r\n\r\n".encode())


@pytest.mark.parametrize("path", ["%FF", "a%01b", "a%1Fb", "a%7F", "a" * 256, "%C3%A9" * 256])
def test_a_user_id_that_cannot_be_is_refused(stack: Stack, key: str, path: str) -> None:
    assert refusal(delete_raw(stack, key, path)) == (400, "INVALID_USER_ID")


@pytest.mark.parametrize("path", ["", "%20"])
def test_no_user_id_is_refused(stack: Stack, key: str, path: str) -> None:
    assert refusal(delete_raw(stack, key, path)) == (400, "MISSING_USER_ID")


def test_what_is_not_utf_8_deletes_nobody(stack: Stack, api: httpx2.Client, key: str) -> None:
    image_id = calls.upload(api, pictures.png(4, 4), "\N{REPLACEMENT CHARACTER}")["image_id"]
    delete_raw(stack, key, "%FF")
    assert api.get(f"/v1/images/{image_id}").status_code == 200


def test_a_user_without_pictures_has_an_empty_receipt(api: httpx2.Client) -> None:
    answer = api.delete("/v1/users/nobody")
    assert answer.status_code == 200
    assert answer.json() == {"success": True, "user_id": "nobody", "image_ids": [], "objects": 0, "nodes": 0}


def test_only_delete_is_allowed_on_a_user(api: httpx2.Client) -> None:
    answer = api.get("/v1/users/12345")
    assert refusal(answer) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "DELETE"


def test_uploads_under_way_for_a_user_who_is_deleted_end(stack: Stack, key: str, cdn: httpx2.Client) -> None:
    """Each is refused or is in no list: nothing that was begun before the delete comes after it."""
    with calls.client(stack, key) as client, ThreadPoolExecutor(8) as threads:
        for turn in range(3):
            user_id = f"uploading {turn}"
            form: dict[str, Any] = {"data": {"user_id": user_id}, "files": {"image": ("a.jpg", PICTURE)}}
            uploads = [threads.submit(client.post, "/v1/upload", **form) for _ in range(6)]
            uploads[0].result()
            receipt = client.delete(f"/v1/users/{user_id}")
            assert receipt.status_code == 200
            made = [upload.result() for upload in uploads]
            assert {answer.status_code for answer in made} <= {200, 503}
            left = client.get("/v1/images", params={"user_id": user_id}).json()["images"]
            known = {*receipt.json()["image_ids"], *(image["image_id"] for image in left)}
            assert {answer.json()["image_id"] for answer in made if answer.status_code == 200} <= known
            for image_id in receipt.json()["image_ids"]:
                assert refusal(cdn.get(f"/{image_id}?w=9")) == GONE
            client.delete(f"/v1/users/{user_id}")


def test_an_operator_takes_down_a_picture(stack: Stack, api: httpx2.Client, cdn: httpx2.Client) -> None:
    image_id = calls.upload(api, PICTURE)["image_id"]
    assert cdn.get(f"/{image_id}?w=77").status_code == 200
    done = take_down(stack, image_id)
    assert (done.returncode, done.stderr) == (0, "")
    assert is_gone(cdn, image_id)
    assert refusal(api.get(f"/v1/images/{image_id}")) == GONE
    assert objects_of(stack, image_id) == []
    assert take_down(stack, image_id).returncode == 1


def take_down(stack: Stack, image_id: str) -> subprocess.CompletedProcess[str]:
    settings = Settings(port=stack.port, state_dir=str(stack.state_dir))
    return delete_image(settings, stack.state, image_id, stack.environment)


def test_the_objects_of_a_picture_are_those_that_a_delete_knows(stack: Stack, api: httpx2.Client) -> None:
    """Or something would stay for ever, since no store is ever listed."""
    image_id = calls.upload(api, pictures.jpeg(2000, 1500))["image_id"]
    found = [
        path for root in objects_of(stack, image_id) for path in (root, *root.glob("*")) if path.is_file()
    ]
    assert len(found) == len(object_names(image_id))
