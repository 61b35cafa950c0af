"""GET /v1/images and /v1/images/{image_id}."""

import base64
from collections.abc import Iterator

import httpx2
import pytest

from tests import pictures
from tests.e2e import calls
from tests.e2e.calls import NOWHERE, refusal
from tests.stack import Stack

PICTURE = pictures.png(20, 10)


@pytest.fixture(scope="module")
def owner(stack: Stack) -> Iterator[httpx2.Client]:
    """An account with five pictures: of the users a, b, a, b, a, in this order."""
    with calls.client(stack, stack.create_account("unlimited")) as client:
        for user_id in "ababa":
            calls.upload(client, PICTURE, user_id)
        yield client


def listed(client: httpx2.Client, **parameters: str | int) -> list[str]:
    return [image["image_id"] for image in client.get("/v1/images", params=parameters).json()["images"]]


def test_a_picture_is_told_as_when_it_was_uploaded(api: httpx2.Client) -> None:
    uploaded = calls.upload(api, PICTURE, "somebody")
    answer = api.get(f"/v1/images/{uploaded['image_id']}")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == uploaded


def test_the_list_is_newest_first_and_each_entry_is_the_picture(owner: httpx2.Client) -> None:
    newest = calls.upload(owner, PICTURE, "last")
    body = owner.get("/v1/images").json()
    assert body.keys() == {"success", "images", "next_cursor"}
    assert (body["success"], body["next_cursor"]) == (True, None)
    assert {"success": True, **body["images"][0]} == newest
    dates = [image["upload_date"] for image in body["images"]]
    assert dates == sorted(dates, reverse=True)
    assert [image["user_id"] for image in body["images"]][-5:] == list("ababa")


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_pages_together_are_the_list_without_gaps_or_repeats(owner: httpx2.Client, limit: int) -> None:
    found: list[str] = []
    cursor = ""
    while cursor is not None:
        body = owner.get("/v1/images", params={"limit": limit, "cursor": cursor}).json()
        assert 1 <= len(body["images"]) <= limit
        found += [image["image_id"] for image in body["images"]]
        cursor = body["next_cursor"]
    assert found == listed(owner, limit=100)
    assert len(set(found)) == len(found) >= 5


def test_a_page_goes_on_where_the_last_ended_although_more_was_uploaded(owner: httpx2.Client) -> None:
    before = listed(owner)
    first = owner.get("/v1/images", params={"limit": 2}).json()
    calls.upload(owner, PICTURE, "later")
    assert listed(owner, cursor=first["next_cursor"]) == before[2:]


def test_a_user_has_only_their_own_pictures(owner: httpx2.Client) -> None:
    assert len(listed(owner, user_id="a")) == 3
    assert len(listed(owner, user_id="b")) == 2
    assert listed(owner, user_id="nobody") == []
    first = owner.get("/v1/images", params={"user_id": "a", "limit": 2}).json()
    assert len(listed(owner, user_id="a", cursor=first["next_cursor"])) == 1


def test_the_default_is_twenty(owner: httpx2.Client, stack: Stack) -> None:
    with calls.client(stack, stack.create_account("unlimited")) as many:
        for _ in range(21):
            calls.upload(many, PICTURE)
        body = many.get("/v1/images").json()
        assert len(body["images"]) == 20
        assert len(listed(many, cursor=body["next_cursor"])) == 1


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "1.0", "9" * 5000, "٣", "1 "])
def test_a_limit_out_of_range_is_refused(api: httpx2.Client, limit: str) -> None:
    assert refusal(api.get("/v1/images", params={"limit": limit})) == (400, "INVALID_PARAMETER")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "!!!!",
        "é",
        base64.urlsafe_b64encode(b'["2024-01-15T10:30:00", "img_0000000000000000"]').decode(),
        base64.urlsafe_b64encode(b'["9999-12-31T23:59:59+00:00", "\\u0000"]').decode(),
        base64.urlsafe_b64encode(b'["0001-01-01T00:00:00+14:00", "x"]').decode(),
        base64.urlsafe_b64encode(b'["9999-12-31T23:59:59-14:00", "x"]').decode(),
        base64.urlsafe_b64encode(b'{"a": 1}').decode(),
        base64.urlsafe_b64encode(b"[1, 2]").decode(),
        "A" * 5000,
    ],
)
def test_a_cursor_that_is_none_of_ours_is_refused(api: httpx2.Client, cursor: str) -> None:
    assert refusal(api.get("/v1/images", params={"cursor": cursor})) == (400, "INVALID_PARAMETER")


def test_an_empty_parameter_is_as_absent(owner: httpx2.Client) -> None:
    assert owner.get("/v1/images?limit=&cursor=&user_id=").json() == owner.get("/v1/images").json()


def test_a_user_id_in_the_list_is_checked_as_in_the_upload(api: httpx2.Client) -> None:
    assert refusal(api.get("/v1/images", params={"user_id": "a" * 256})) == (400, "INVALID_USER_ID")
    assert refusal(api.get("/v1/images", params={"user_id": "a\nb"})) == (400, "INVALID_USER_ID")


def test_a_picture_of_another_account_is_as_one_that_does_not_exist(
    api: httpx2.Client, stranger: httpx2.Client, image_id: str
) -> None:
    known, unknown = stranger.get(f"/v1/images/{image_id}"), stranger.get(f"/v1/images/{NOWHERE}")
    assert refusal(known) == refusal(unknown) == (404, "IMAGE_NOT_FOUND")
    assert known.content == unknown.content
    telling = {"x-request-id", "date"}
    assert known.headers.keys() == unknown.headers.keys()
    assert all(known.headers[name] == unknown.headers[name] for name in known.headers.keys() - telling)
    assert image_id in listed(api, limit=100)
    assert image_id not in listed(stranger, limit=100)


@pytest.mark.parametrize(
    "image_id", ["img_", "img_0", "img_000000000000000G", "IMG_0000000000000000", "a%0Ab", "é", "x" * 3000]
)
def test_an_id_that_cannot_be_does_not_exist(api: httpx2.Client, image_id: str) -> None:
    assert refusal(api.get(f"/v1/images/{image_id}")) == (404, "IMAGE_NOT_FOUND")


def test_head_answers_as_get_without_a_body(api: httpx2.Client, image_id: str) -> None:
    for path in ("/v1/images", f"/v1/images/{image_id}"):
        assert api.head(path).status_code == 200
        assert api.head(path).content == b""
