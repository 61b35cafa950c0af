"""`/authorize` as nginx asks it, on a real process with a real Redis and PostgreSQL."""

import asyncio
import json
import time
from typing import Any

import pytest

from libs.identity import Signer
from services.auth import keys
from tests.auth.conftest import SECRETS, Admin, Client, StartAuth
from tests.servers import PostgresServer

pytestmark = pytest.mark.anyio

LIMIT_HEADERS = (
    "ratelimit-policy",
    "ratelimit",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
)


def error(response: Any) -> dict[str, str]:
    """The public error in a denial's headers."""
    body = json.loads(response.headers["x-error-body"])
    assert body.keys() == {"success", "error"}
    assert body["success"] is False
    return {str(name): str(value) for name, value in body["error"].items()}


async def test_a_good_key_gets_a_signed_identity_for_this_very_request(auth: Client, command: Admin) -> None:
    account_id, key_id, key = await command.create_account("pro")
    response = await auth.authorize(key, method="DELETE", path="/v1/images/img_1", request_id="edge-9")
    assert response.status_code == 204
    identity = Signer([SECRETS]).check(
        response.headers["x-identity"], method="DELETE", path="/v1/images/img_1", request_id="edge-9"
    )
    assert (identity.account_id, identity.plan, identity.key_id) == (account_id, "pro", key_id)
    assert identity.image_limit == 100_000


async def test_the_rate_headers_follow_the_plan(auth: Client, command: Admin) -> None:
    _, _, key = await command.create_account("free")
    before = int(time.time())
    response = await auth.authorize(key)
    assert response.headers["ratelimit-policy"] == '"free";q=60;w=60'
    assert response.headers["ratelimit"] == '"free";r=19;t=1'
    assert response.headers["x-ratelimit-limit"] == "60"
    assert response.headers["x-ratelimit-remaining"] == "19"
    assert before + 1 <= int(response.headers["x-ratelimit-reset"]) <= int(time.time()) + 1


async def test_an_unlimited_plan_sends_no_rate_headers(auth: Client, command: Admin) -> None:
    _, _, key = await command.create_account("unlimited")
    for _ in range(30):
        response = await auth.authorize(key)
        assert response.status_code == 204
        assert not any(name in response.headers for name in LIMIT_HEADERS)


async def test_the_scheme_is_understood_in_any_case_and_spacing(auth: Client, command: Admin) -> None:
    _, _, key = await command.create_account("unlimited")
    headers = {"X-Original-Method": "GET", "X-Original-Path": "/", "X-Edge-Request-Id": "1"}
    for header in (f"bearer {key}", f"BEARER {key}", f"Bearer   {key}"):
        response = await auth.http.get("/authorize", headers={**headers, "Authorization": header})
        assert response.status_code == 204


async def test_without_a_key_the_challenge_names_no_error(auth: Client) -> None:
    for header in (None, "", "Bearer", "Basic dXNlcjpwYXNz"):
        headers = {} if header is None else {"Authorization": header}
        response = await auth.http.get("/authorize", headers=headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == 'Bearer realm="user.photos"'
        assert error(response)["code"] == "INVALID_API_KEY"


async def test_a_wrong_key_is_told_that_it_is_invalid(auth: Client, command: Admin) -> None:
    _, _, key = await command.create_account()
    for wrong in ("nonsense", key[:-1], key + "0", key.upper(), keys.new_key(), f"{key} {key}"):
        response = await auth.authorize(wrong)
        assert response.status_code == 401
        expected = 'Bearer realm="user.photos", error="invalid_token"'
        assert response.headers["www-authenticate"] == expected
        assert error(response)["code"] == "INVALID_API_KEY"
        assert "x-identity" not in response.headers


async def test_noise_never_reaches_the_database(auth: Client) -> None:
    for _ in range(5):
        await auth.authorize("up_live_" + "x" * 38)
    metrics = (await auth.http.get("/metrics")).text
    assert "key_reads_total{" not in metrics


async def test_a_denial_is_one_line_of_ascii(auth: Client, command: Admin) -> None:
    _, _, key = await command.create_account()
    denials = [await auth.authorize(None), *[await auth.authorize(key) for _ in range(21)][-1:]]
    for response in denials:
        raw = dict(response.headers.raw)[b"x-error-body"]
        assert raw.isascii()
        assert b"\n" not in raw


async def test_over_the_rate_is_a_429_for_nginx_to_answer(auth: Client, command: Admin) -> None:
    _, _, key = await command.create_account("free")
    responses = [await auth.authorize(key) for _ in range(21)]
    assert [response.status_code for response in responses[:20]] == [204] * 20
    refused = next(
        response for response in [*responses, await auth.authorize(key)] if response.status_code != 204
    )
    assert refused.status_code == 403
    assert refused.headers["x-error-status"] == "429"
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert all(name in refused.headers for name in LIMIT_HEADERS)
    assert error(refused)["code"] == "RATE_LIMIT_EXCEEDED"
    assert "60 requests a minute" in error(refused)["details"]
    assert "x-identity" not in refused.headers


async def test_wrong_keys_cost_nobody_tokens(auth: Client, command: Admin) -> None:
    _, _, key = await command.create_account("free")
    for _ in range(30):
        await auth.authorize(keys.new_key())
        await auth.authorize(key[:-1] + "~")
    assert (await auth.authorize(key)).headers["x-ratelimit-remaining"] == "19"


async def test_two_keys_of_an_account_share_its_bucket(auth: Client, command: Admin) -> None:
    account_id, _, first = await command.create_account("free")
    output, _ = await command.run("create-key", "--account", account_id, "--name", "second")
    await auth.authorize(first)
    assert (await auth.authorize(output.strip())).headers["x-ratelimit-remaining"] == "18"


async def test_a_new_key_works_on_its_first_request_though_it_was_tried_before_it_existed(
    auth: Client, command: Admin
) -> None:
    account_id, _, _ = await command.create_account()
    assert (await auth.authorize(keys.new_key())).status_code == 401
    output, _ = await command.run("create-key", "--account", account_id, "--name", "new")
    assert (await auth.authorize(output.strip())).status_code == 204


async def test_a_revoked_key_is_refused_on_the_next_request_of_every_process(
    start_auth: StartAuth, command: Admin
) -> None:
    account_id, key_id, key = await command.create_account()
    other, _ = await command.run("create-key", "--account", account_id, "--name", "other")
    async with start_auth().client() as one, start_auth().client() as two:
        for client in (one, two):
            assert (await client.authorize(key)).status_code == 204
        await command.run("revoke-key", "--key", key_id)
        for client in (one, two):
            assert (await client.authorize(key)).status_code == 401
            assert (await client.authorize(other.strip())).status_code == 204


async def test_a_change_of_plan_holds_on_the_next_request_of_every_process(
    start_auth: StartAuth, command: Admin
) -> None:
    account_id, _, key = await command.create_account("free")
    async with start_auth().client() as one, start_auth().client() as two:
        for client in (one, two):
            assert (await client.authorize(key)).headers["x-ratelimit-limit"] == "60"
        await command.run("set-plan", "--account", account_id, "--plan", "business")
        for client in (one, two):
            assert (await client.authorize(key)).headers["x-ratelimit-limit"] == "3000"


async def test_a_suspended_account_is_a_403_at_once_and_back_at_once(auth: Client, command: Admin) -> None:
    account_id, _, key = await command.create_account()
    assert (await auth.authorize(key)).status_code == 204
    await command.run("suspend-account", "--account", account_id)
    refused = await auth.authorize(key)
    assert (refused.status_code, refused.headers["x-error-status"]) == (403, "403")
    assert error(refused)["code"] == "ACCOUNT_SUSPENDED"
    await command.run("resume-account", "--account", account_id)
    response = await auth.authorize(key)
    assert response.headers["x-ratelimit-remaining"] == "18"


async def test_an_expired_key_is_refused_and_takes_nothing(
    auth: Client, command: Admin, postgres_server: PostgresServer, database_name: str
) -> None:
    account_id, _, key = await command.create_account()
    output, _ = await command.run(
        "create-key", "--account", account_id, "--name", "old", "--expires-days", "1"
    )
    old = output.strip()
    assert (await auth.authorize(old)).status_code == 204
    postgres_server.psql(database_name, "UPDATE auth.keys SET expires_at = now() WHERE name = 'old'")
    await command.run("set-plan", "--account", account_id, "--plan", "free")
    assert (await auth.authorize(old)).status_code == 401
    assert (await auth.authorize(key)).headers["x-ratelimit-remaining"] == "18"


async def test_an_account_of_a_plan_that_is_gone_is_served_by_the_strictest(
    auth: Client, command: Admin, postgres_server: PostgresServer, database_name: str
) -> None:
    account_id, _, key = await command.create_account()
    postgres_server.psql(database_name, f"UPDATE auth.accounts SET plan = 'gold' WHERE id = '{account_id}'")
    response = await auth.authorize(key)
    assert response.headers["ratelimit-policy"] == '"free";q=60;w=60'


async def test_the_last_use_is_written_in_batches(
    start_auth: StartAuth, command: Admin, postgres_server: PostgresServer, database_name: str
) -> None:
    _, key_id, key = await command.create_account()
    query = f"SELECT now() - last_used_at < '1 minute' FROM auth.keys WHERE id = '{key_id}'"
    async with start_auth(LAST_USE_SECONDS="0.1").client() as client:
        await client.authorize(key)
        for _ in range(200):
            if postgres_server.psql(database_name, query) == "t":
                break
            await asyncio.sleep(0.05)
        else:
            pytest.fail("the last use was not written")


async def test_the_last_use_is_written_when_the_process_ends(
    start_auth: StartAuth, command: Admin, postgres_server: PostgresServer, database_name: str
) -> None:
    _, key_id, key = await command.create_account()
    process = start_auth()
    async with process.client() as client:
        await client.authorize(key)
    process.stop()
    query = f"SELECT last_used_at IS NOT NULL FROM auth.keys WHERE id = '{key_id}'"
    assert postgres_server.psql(database_name, query) == "t"


async def test_without_the_original_request_there_is_no_identity(auth: Client, command: Admin) -> None:
    _, _, key = await command.create_account()
    response = await auth.http.get("/authorize", headers={"Authorization": f"Bearer {key}"})
    assert (response.status_code, response.headers["x-error-status"]) == (403, "500")
    assert "x-identity" not in response.headers


async def test_no_key_is_ever_logged(start_auth: StartAuth, command: Admin) -> None:
    _, _, key = await command.create_account()
    process = start_auth(LOG_LEVEL="DEBUG")
    async with process.client() as client:
        await client.authorize(key)
        await client.authorize(key[:-1])
    assert "public-1" in process.log()
    assert key[:-1] not in process.log()


async def test_200_requests_at_once_over_two_processes_take_the_burst_and_the_rate_and_no_more(
    start_auth: StartAuth, command: Admin
) -> None:
    _, _, key = await command.create_account("pro")
    async with start_auth().client() as one, start_auth().client() as two:
        for client in (one, two):  # both know the key, and their connections are open
            await asyncio.gather(*(client.http.get("/livez") for _ in range(100)))
        started = time.monotonic()
        calls = [client.authorize(key) for client in (one, two) * 100]
        responses = await asyncio.gather(*calls)
        seconds = time.monotonic() - started
        degraded = [await client.metric("limiter_degraded_total") for client in (one, two)]
    assert degraded == [0, 0]
    assert {response.status_code for response in responses} == {204, 403}
    allowed = sum(response.status_code == 204 for response in responses)
    assert 100 - 1 <= allowed <= 100 + 10 * seconds


async def test_readyz_names_both_dependencies(auth: Client) -> None:
    response = await auth.http.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"postgres": "ok", "redis": "ok"})
