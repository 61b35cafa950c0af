"""What callers see while Redis or PostgreSQL is dead or hung (design section 7)."""

import asyncio
import json
from collections.abc import Iterator

import httpx2
import pytest

from services.auth import keys
from tests.auth.conftest import Admin, Client, Environment, StartAuth
from tests.servers import PostgresServer, RedisServer, running_postgres, running_redis

pytestmark = pytest.mark.anyio

FAULTS = ("gone", "hung")


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """One of the test's own, to be broken."""
    with running_redis() as server:
        yield server


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[PostgresServer]:
    """One of the module's own, to be broken."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def environment(environment: Environment) -> Environment:
    return environment | {"DATABASE_TIMEOUT_SECONDS": "0.3", "REDIS_TIMEOUT_SECONDS": "0.04"}


def code(response: httpx2.Response) -> str:
    return str(json.loads(response.headers["x-error-body"])["error"]["code"])


async def eventually(client: Client, key: str, metric: str) -> None:
    """Requests until one is served without counting up `metric`."""
    for _ in range(200):
        before = await client.metric(metric)
        response = await client.authorize(key)
        if response.status_code == 204 and await client.metric(metric) == before:
            return
        await asyncio.sleep(0.05)
    pytest.fail("it did not recover")


@pytest.mark.parametrize("fault", FAULTS)
async def test_without_redis_a_process_keeps_its_share_of_the_rate_and_counts_it(
    start_auth: StartAuth, command: Admin, redis_server: RedisServer, fault: str
) -> None:
    _, _, key = await command.create_account("free")
    async with start_auth(AUTH_PROCESSES="2").client() as client:
        assert (await client.authorize(key)).status_code == 204
        with getattr(redis_server, fault)():
            responses = [await client.authorize(key) for _ in range(15)]
            assert await client.metric("limiter_degraded_total") == 15
            ready = await client.http.get("/readyz")
        allowed = [response for response in responses if response.status_code == 204]
        assert 10 <= len(allowed) < 15  # half of the burst of 20, and what half of the rate brings meanwhile
        assert {response.headers["x-error-status"] for response in responses if response not in allowed} == {
            "429"
        }
        assert (ready.status_code, ready.json()) == (200, {"postgres": "ok", "redis": "degraded"})
        await eventually(client, key, "limiter_degraded_total")


@pytest.mark.parametrize("fault", FAULTS)
async def test_without_redis_unknown_keys_are_still_refused(
    start_auth: StartAuth, command: Admin, redis_server: RedisServer, fault: str
) -> None:
    _, _, key = await command.create_account("unlimited")
    async with start_auth().client() as client:
        with getattr(redis_server, fault)():
            assert (await client.authorize(keys.new_key())).status_code == 401
            assert (await client.authorize(key)).status_code == 204


@pytest.mark.parametrize("fault", FAULTS)
async def test_without_redis_a_change_holds_when_the_entry_is_no_longer_fresh(
    start_auth: StartAuth, command: Admin, redis_server: RedisServer, fault: str
) -> None:
    _, key_id, key = await command.create_account("unlimited")
    async with start_auth(KEY_FRESH_SECONDS="0.5").client() as client:
        assert (await client.authorize(key)).status_code == 204
        with getattr(redis_server, fault)():
            _, notes = await command.run("revoke-key", "--key", key_id)
            assert "warning: Redis does not answer" in notes
            await asyncio.sleep(0.5)
            assert (await client.authorize(key)).status_code == 401


@pytest.mark.parametrize("fault", FAULTS)
async def test_without_postgres_known_keys_stay_valid_and_unknown_ones_are_a_503(
    start_auth: StartAuth, command: Admin, postgres_server: PostgresServer, fault: str
) -> None:
    _, _, key = await command.create_account("unlimited")
    async with start_auth(KEY_FRESH_SECONDS="0.1").client() as client:
        assert (await client.authorize(key)).status_code == 204
        with getattr(postgres_server, fault)():
            await asyncio.sleep(0.1)
            for _ in range(10):
                assert (await client.authorize(key)).status_code == 204
                unknown = await client.authorize(keys.new_key())
                assert (unknown.status_code, unknown.headers["x-error-status"]) == (403, "503")
                assert (code(unknown), unknown.headers["retry-after"]) == ("SERVICE_UNAVAILABLE", "5")
                assert (await client.authorize("noise")).status_code == 401
            assert await client.metric("key_stale_total") == 10
            ready = await client.http.get("/readyz")
            assert (ready.status_code, ready.json()["redis"]) == (503, "ok")
        await eventually(client, key, "key_stale_total")


@pytest.mark.parametrize("fault", FAULTS)
async def test_without_postgres_a_key_past_its_stale_time_is_a_503(
    start_auth: StartAuth, command: Admin, postgres_server: PostgresServer, fault: str
) -> None:
    _, _, key = await command.create_account("unlimited")
    async with start_auth(KEY_FRESH_SECONDS="0.1", KEY_STALE_SECONDS="0.2").client() as client:
        assert (await client.authorize(key)).status_code == 204
        with getattr(postgres_server, fault)():
            await asyncio.sleep(0.2)
            refused = await client.authorize(key)
            assert (refused.status_code, refused.headers["x-error-status"]) == (403, "503")


async def test_a_key_revoked_just_before_postgres_went_away_stays_refused(
    start_auth: StartAuth, command: Admin, postgres_server: PostgresServer
) -> None:
    account_id, key_id, key = await command.create_account("unlimited")
    other = (await command.run("create-key", "--account", account_id, "--name", "other"))[0].strip()
    async with start_auth().client() as client:
        for known in (key, other):
            assert (await client.authorize(known)).status_code == 204
        await command.run("revoke-key", "--key", key_id)
        with postgres_server.gone():
            assert (await client.authorize(key)).status_code == 401
            assert (await client.authorize(other)).status_code == 204


async def test_without_both_known_keys_are_served(
    start_auth: StartAuth, command: Admin, postgres_server: PostgresServer, redis_server: RedisServer
) -> None:
    _, _, key = await command.create_account("free")
    async with start_auth(KEY_FRESH_SECONDS="0.1").client() as client:
        assert (await client.authorize(key)).status_code == 204
        with redis_server.gone(), postgres_server.gone():
            await asyncio.sleep(0.1)
            assert (await client.authorize(key)).status_code == 204


async def test_a_process_that_starts_without_postgres_is_not_ready_and_heals(
    start_auth: StartAuth, command: Admin, postgres_server: PostgresServer
) -> None:
    _, _, key = await command.create_account("unlimited")
    with postgres_server.gone():
        process = start_auth()
        async with process.client() as client:
            assert (await client.http.get("/readyz")).status_code == 503
            refused = await client.authorize(key)
            assert (refused.status_code, refused.headers["x-error-status"]) == (403, "503")
    async with process.client() as client:
        for _ in range(200):
            if (await client.http.get("/readyz")).status_code == 200:
                break
            await asyncio.sleep(0.05)
        else:
            pytest.fail("it did not become ready")
        await eventually(client, key, "key_stale_total")


@pytest.mark.parametrize("fault", FAULTS)
async def test_without_redis_a_process_keeps_its_share_of_the_sign_ups(
    start_auth: StartAuth, redis_server: RedisServer, fault: str
) -> None:
    settings = {"SIGNUP": "open", "SIGNUPS_PER_ADDRESS_HOUR": "4", "AUTH_PROCESSES": "2"}
    async with start_auth(**settings).client() as client:
        with getattr(redis_server, fault)():
            statuses = [await sign_up(client) for _ in range(3)]
    assert statuses == [201, 201, 429]


@pytest.mark.parametrize("fault", FAULTS)
async def test_without_postgres_nobody_signs_up_and_it_is_a_503(
    start_auth: StartAuth, postgres_server: PostgresServer, fault: str
) -> None:
    async with start_auth(SIGNUP="open", SIGNUPS_PER_ADDRESS_HOUR="1000").client() as client:
        with getattr(postgres_server, fault)():
            assert await sign_up(client) == 503
        for _ in range(200):
            if await sign_up(client) == 201:
                break
            await asyncio.sleep(0.05)
        else:
            pytest.fail("it did not recover")


async def sign_up(client: Client) -> int:
    body = {"email": "ada@example.com", "name": "Ada"}
    answer = await client.http.post("/v1/accounts", json=body, headers={"X-Client-Address": "192.0.2.99"})
    return answer.status_code
