"""Walls between accounts: another's ids answer as ids that do not exist, in everything."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any, Final

import httpx2
import pytest

from deploy.local.admin import admin
from tests import pictures
from tests.e2e import calls
from tests.e2e.calls import NOWHERE, refusal
from tests.stack import Stack

PICTURE: Final = pictures.jpeg(60, 40)
USER: Final = "the-others-user"
NOBODY: Final = "the-users-other"  # as long
# What differs between any two answers.
VARYING: Final = {"date", "x-request-id", "ratelimit", "x-ratelimit-remaining", "x-ratelimit-reset"}


@pytest.fixture(scope="module", params=["unlimited", "business"])
def intruder(stack: Stack, request: pytest.FixtureRequest) -> Iterator[httpx2.Client]:
    """An account that knows the ids of another's; with and without rate headers."""
    with calls.client(stack, stack.create_account(request.param)) as client:
        yield client


@pytest.fixture(scope="module")
def theirs(api: httpx2.Client) -> str:
    return str(calls.upload(api, PICTURE, USER)["image_id"])


def same(one: httpx2.Response, other: httpx2.Response) -> bool:
    """Status, body, and every header that is not another for each request."""
    names = [sorted(name for name, _ in answer.headers.multi_items()) for answer in (one, other)]
    assert names[0] == names[1]
    for name in one.headers.keys() - VARYING:
        assert one.headers[name] == other.headers[name], name
    return (one.status_code, one.content) == (other.status_code, other.content)


BY_IMAGE: Final[dict[str, Callable[[httpx2.Client, str], httpx2.Response]]] = {
    "show": lambda api, image_id: api.get(f"/v1/images/{image_id}"),
    "head": lambda api, image_id: api.head(f"/v1/images/{image_id}"),
    "delete": lambda api, image_id: api.delete(f"/v1/images/{image_id}"),
    "conditional": lambda api, image_id: api.get(f"/v1/images/{image_id}", headers={"If-None-Match": "*"}),
    "a method that is not allowed": lambda api, image_id: api.put(f"/v1/images/{image_id}"),
}


@pytest.mark.parametrize("call", BY_IMAGE.values(), ids=BY_IMAGE.keys())
def test_anothers_picture_does_not_exist(
    intruder: httpx2.Client, theirs: str, call: Callable[[httpx2.Client, str], httpx2.Response]
) -> None:
    known, unknown = call(intruder, theirs), call(intruder, NOWHERE)
    assert same(known, unknown)
    assert known.status_code in (404, 405)


def test_anothers_picture_is_not_deleted(
    api: httpx2.Client, cdn: httpx2.Client, intruder: httpx2.Client, theirs: str
) -> None:
    assert refusal(intruder.delete(f"/v1/images/{theirs}")) == (404, "IMAGE_NOT_FOUND")
    assert intruder.delete(f"/v1/users/{USER}").json()["image_ids"] == []
    assert api.get(f"/v1/images/{theirs}").status_code == 200
    assert cdn.get(f"/{theirs}?w=31").status_code == 200


def test_anothers_user_has_nothing_to_delete(intruder: httpx2.Client, theirs: str) -> None:
    known, unknown = intruder.delete(f"/v1/users/{USER}"), intruder.delete(f"/v1/users/{NOBODY}")
    assert known.json()["image_ids"] == []
    assert known.content.replace(USER.encode(), NOBODY.encode()) == unknown.content
    assert known.status_code == unknown.status_code == 200


def test_anothers_user_has_nothing_to_list(intruder: httpx2.Client, theirs: str) -> None:
    known, unknown = (intruder.get("/v1/images", params={"user_id": user}) for user in (USER, NOBODY))
    assert same(known, unknown)
    assert known.json()["images"] == []


def test_anothers_cursor_leads_nowhere(api: httpx2.Client, intruder: httpx2.Client, theirs: str) -> None:
    calls.upload(api, PICTURE, USER)
    cursor = api.get("/v1/images", params={"user_id": USER, "limit": 1}).json()["next_cursor"]
    page = intruder.get("/v1/images", params={"cursor": cursor, "limit": 100})
    assert theirs not in page.text


def test_anothers_idempotency_key_is_free(api: httpx2.Client, intruder: httpx2.Client) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    form: dict[str, Any] = {"data": {"user_id": USER}, "files": {"image": ("a.jpg", PICTURE)}}
    mine, replay, yours = (
        client.post("/v1/upload", **form, headers=headers) for client in (api, api, intruder)
    )
    assert mine.content == replay.content
    assert yours.status_code == 200
    assert yours.json()["image_id"] != mine.json()["image_id"]


def test_a_deleted_picture_is_as_one_that_never_was(api: httpx2.Client, cdn: httpx2.Client) -> None:
    image_id = calls.upload(api, PICTURE)["image_id"]
    cdn.get(f"/{image_id}")
    api.delete(f"/v1/images/{image_id}")
    for call in BY_IMAGE.values():
        assert same(call(api, image_id), call(api, NOWHERE))
    assert same(cdn.get(f"/{image_id}?w=20"), cdn.get(f"/{NOWHERE}?w=20"))


def test_a_suspended_account_is_refused_on_its_next_request(stack: Stack, cdn: httpx2.Client) -> None:
    name = str(uuid.uuid4())
    with calls.client(stack, stack.create_account("unlimited", name)) as client:
        image_id = calls.upload(client, PICTURE)["image_id"]
        listed = admin(stack.state, ["list-accounts"], stack.environment).stdout.splitlines()
        account_id = next(line.split("\t")[0] for line in listed if name in line)
        for _ in range(2):
            assert run(stack, "suspend-account", account_id) == 0
            for answer in (
                client.get("/v1/images"),
                client.get(f"/v1/images/{image_id}"),
                client.delete(f"/v1/images/{image_id}"),
                client.delete("/v1/users/12345"),
                client.post("/v1/upload", data={"user_id": "1"}, files={"image": PICTURE}),
            ):
                assert refusal(answer) == (403, "ACCOUNT_SUSPENDED")
            assert cdn.get(f"/{image_id}?w=21").status_code == 200
            assert run(stack, "resume-account", account_id) == 0
            assert client.get(f"/v1/images/{image_id}").status_code == 200


def run(stack: Stack, command: str, account_id: str) -> int:
    return admin(stack.state, [command, "--account", account_id], stack.environment).returncode
