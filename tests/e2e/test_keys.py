"""What auth says through nginx: keys, rates, and identities that nobody can make up."""

import asyncio
import re
import time

import asyncpg
import httpx2
import pytest

from deploy.local import postgres
from libs.identity import HEADER, REQUEST_ID_HEADER, Identity, Signer
from services.auth.keys import new_key
from tests import pictures
from tests.e2e import calls
from tests.e2e.calls import refusal
from tests.e2e.inside import forged, ingest, signer
from tests.stack import Stack

RATE_HEADERS = {
    "ratelimit",
    "ratelimit-policy",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
}
REALM = 'Bearer realm="user.photos"'


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic dTpw", "up_live_x"])
def test_no_key_is_told_so(cdn: httpx2.Client, header: str | None) -> None:
    answer = cdn.get("/v1/images", headers={"Authorization": header} if header is not None else {})
    assert refusal(answer) == (401, "INVALID_API_KEY")
    assert answer.headers["www-authenticate"] == REALM
    assert not RATE_HEADERS & answer.headers.keys()


@pytest.mark.parametrize("key", ["x", "up_live_", new_key(), new_key()[:-1] + "!", "a" * 3000])
def test_a_key_of_nobody_is_told_so(cdn: httpx2.Client, key: str) -> None:
    answer = cdn.get("/v1/images", headers={"Authorization": f"Bearer {key}"})
    assert refusal(answer) == (401, "INVALID_API_KEY")
    assert answer.headers["www-authenticate"] == f'{REALM}, error="invalid_token"'


def test_the_scheme_may_be_in_any_case(cdn: httpx2.Client, key: str) -> None:
    assert cdn.get("/v1/images", headers={"Authorization": f"bEARER  {key}"}).status_code == 200


def test_every_authorised_answer_tells_the_rate(stack: Stack, image_id: str) -> None:
    started = time.time()
    with calls.client(stack, stack.create_account("free")) as free:
        answers = [
            free.get("/v1/images"),
            free.get("/v1/images?limit=0"),
            free.get(f"/v1/images/{image_id}"),
            free.post("/v1/upload", content=b""),
            free.post("/v1/upload", data={"user_id": "1"}, files={"image": pictures.jpeg()}),
        ]
    assert [answer.status_code for answer in answers] == [200, 400, 404, 400, 200]
    left = []
    for answer in answers:
        assert answer.headers["ratelimit-policy"] == '"free";q=60;w=60'
        found = re.fullmatch(r'"free";r=(\d+);t=(\d+)', answer.headers["ratelimit"])
        assert found
        assert answer.headers["x-ratelimit-limit"] == "60"
        assert answer.headers["x-ratelimit-remaining"] == found[1]
        assert started - 1 <= int(answer.headers["x-ratelimit-reset"]) <= time.time() + 60
        left.append(int(found[1]))
    assert left[0] == 19
    assert left[-1] < left[0]


def test_an_unlimited_plan_has_no_rate_to_tell(api: httpx2.Client) -> None:
    assert not RATE_HEADERS & api.get("/v1/images").headers.keys()


def test_over_the_rate_is_refused_until_retry_after(stack: Stack) -> None:
    with calls.client(stack, stack.create_account("free")) as free:
        answer = free.get("/v1/images")
        while answer.status_code == 200:
            answer = free.get("/v1/images")
        assert refusal(answer) == (429, "RATE_LIMIT_EXCEEDED")
        assert answer.headers["ratelimit"].startswith('"free";r=0;')
        assert answer.headers["x-ratelimit-remaining"] == "0"
        wait = int(answer.headers["retry-after"])
        assert wait >= 1
        not_even_a_form = free.post("/v1/upload", content=b"")
        assert refusal(not_even_a_form) == (429, "RATE_LIMIT_EXCEEDED")
        time.sleep(wait)
        assert free.get("/v1/images").status_code == 200


def test_a_wrong_key_and_the_cdn_cost_no_tokens(stack: Stack, cdn: httpx2.Client, image_id: str) -> None:
    with calls.client(stack, stack.create_account("free")) as free:
        free.get("/v1/images")
        for _ in range(30):
            assert cdn.get("/v1/images", headers={"Authorization": "Bearer x"}).status_code == 401
            assert free.get(f"/{image_id}").status_code == 200
        assert int(free.get("/v1/images").headers["x-ratelimit-remaining"]) >= 18


def account_of(stack: Stack, image_id: str) -> str:
    async def ask() -> str:
        database = await asyncpg.connect(postgres.url(stack.state))
        try:
            query = "SELECT account_id FROM ingest.images WHERE image_id = $1"
            return str(await database.fetchval(query, image_id))
        finally:
            await database.close()

    return asyncio.run(ask())


@pytest.mark.parametrize("path", ["/v1/images", "/v1/images/img_0000000000000000", "/v1/upload"])
def test_ingest_refuses_who_was_not_signed_by_auth(stack: Stack, path: str) -> None:
    method = "POST" if path == "/v1/upload" else "GET"
    statement = Signer(["an attacker's own secret, long enough"]).sign(forged(method, path, "r"))
    body, _, signature = statement.partition(".")
    with ingest(stack) as inside:
        for value in (None, "", "x", statement, body, f"{body}.", f".{signature}", '{"account_id":"1"}'):
            headers = {REQUEST_ID_HEADER: "r"} | ({HEADER: value} if value is not None else {})
            assert inside.request(method, path, headers=headers).status_code == 401


def test_an_identity_is_good_for_its_own_request_only(stack: Stack) -> None:
    headers = {HEADER: signer(stack).sign(forged("GET", "/v1/images", "r")), REQUEST_ID_HEADER: "r"}
    with ingest(stack) as inside:
        assert inside.get("/v1/images", headers=headers).status_code == 200
        assert inside.get("/v1/images/img_0000000000000000", headers=headers).status_code == 401
        assert inside.post("/v1/upload", headers=headers).status_code == 401
        assert inside.get("/v1/images", headers=headers | {REQUEST_ID_HEADER: "s"}).status_code == 401
        assert inside.get("/v1/images", headers={HEADER: headers[HEADER]}).status_code == 401


def test_an_identity_that_a_client_sends_is_dropped(
    stack: Stack, api: httpx2.Client, stranger: httpx2.Client, cdn: httpx2.Client, image_id: str
) -> None:
    path = f"/v1/images/{image_id}"
    account = account_of(stack, image_id)
    identity = Identity(
        account_id=account, plan="unlimited", key_id="1", method="GET", path=path, request_id="r"
    )
    claim = {HEADER: signer(stack).sign(identity), REQUEST_ID_HEADER: "r"}
    with ingest(stack) as inside:  # where it would be believed
        assert inside.get(path, headers=claim).status_code == 200
    assert refusal(cdn.get(path, headers=claim)) == (401, "INVALID_API_KEY")
    assert refusal(stranger.get(path, headers=claim)) == (404, "IMAGE_NOT_FOUND")
    assert api.get(path, headers={HEADER: "x", REQUEST_ID_HEADER: "r"}).status_code == 200


def test_two_uploads_that_claim_one_inner_request_are_two_pictures(api: httpx2.Client) -> None:
    """The inner request id is what ingest recognises a retry by: a client must not be able to choose it."""
    made = [
        api.post(
            "/v1/upload",
            data={"user_id": "1"},
            files={"image": pictures.jpeg()},
            headers={REQUEST_ID_HEADER: "same", "X-Request-Id": "same"},
        ).json()["image_id"]
        for _ in range(2)
    ]
    assert made[0] != made[1]
