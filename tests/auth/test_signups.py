"""Signing up at auth itself: who may, and how often."""

import pytest

from services.auth import keys
from tests.auth.conftest import Admin, Client, StartAuth
from tests.servers import PostgresServer, RedisServer

pytestmark = pytest.mark.anyio

ADA = {"email": "ada@example.com", "name": "Ada"}


@pytest.fixture(autouse=True)
def _full_buckets(redis_server: RedisServer) -> None:
    redis_server.cli("FLUSHALL")


async def sign_up(client: Client, address: str = "192.0.2.1", **fields: str) -> tuple[int, str]:
    """The status, and the error's code or the key."""
    answer = await client.http.post("/v1/accounts", json=ADA | fields, headers={"X-Client-Address": address})
    body = answer.json()
    return answer.status_code, body.get("api_key") or body["error"]["code"]


async def accounts(postgres_server: PostgresServer, database_name: str) -> int:
    return int(postgres_server.psql(database_name, "SELECT count(*) FROM auth.accounts"))


async def test_nobody_signs_up_where_it_is_not_said_that_they_may(auth: Client) -> None:
    assert await sign_up(auth) == (403, "SIGNUP_CLOSED")


async def test_what_is_sent_to_a_closed_door_is_not_read(auth: Client) -> None:
    answer = await auth.http.post("/v1/accounts", content=b"{")
    assert answer.status_code == 403


async def test_an_open_door_gives_a_key_that_works(start_auth: StartAuth) -> None:
    async with start_auth(SIGNUP="open").client() as client:
        status, key = await sign_up(client)
        assert (status, keys.is_key(key)) == (201, True)
        assert (await client.authorize(key)).status_code == 204


async def test_who_signs_up_gets_the_plan_of_the_setting(start_auth: StartAuth) -> None:
    async with start_auth(SIGNUP="open", SIGNUP_PLAN="pro").client() as client:
        _, key = await sign_up(client)
        assert (await client.authorize(key)).headers["x-ratelimit-limit"] == "600"


async def test_an_invite_is_good_for_its_uses_and_no_more(start_auth: StartAuth, command: Admin) -> None:
    once, _ = await command.run("create-invite")
    twice, _ = await command.run("create-invite", "--uses", "2")
    async with start_auth(SIGNUP="invite", SIGNUPS_PER_ADDRESS_HOUR="100").client() as client:
        assert await sign_up(client) == (403, "INVALID_INVITE")
        for wrong in ("", "x", "x" * 24, once.strip()[:-1]):
            assert await sign_up(client, invite=wrong) == (403, "INVALID_INVITE")
        statuses = [(await sign_up(client, invite=once.strip()))[0] for _ in range(2)]
        assert statuses == [201, 403]
        statuses = [(await sign_up(client, invite=twice.strip()))[0] for _ in range(3)]
        assert statuses == [201, 201, 403]
    listed, _ = await command.run("list-invites")
    assert [line.split("\t")[1] for line in listed.splitlines()] == ["1 of 1 used", "2 of 2 used"]


async def test_an_invite_that_is_expired_is_none(
    start_auth: StartAuth, command: Admin, postgres_server: PostgresServer, database_name: str
) -> None:
    code, _ = await command.run("create-invite", "--expires-days", "1")
    postgres_server.psql(database_name, "UPDATE auth.invites SET expires_at = now()")
    async with start_auth(SIGNUP="invite").client() as client:
        assert await sign_up(client, invite=code.strip()) == (403, "INVALID_INVITE")


async def test_an_address_has_its_sign_ups_an_hour_over_all_processes(
    start_auth: StartAuth, postgres_server: PostgresServer, database_name: str
) -> None:
    settings = {"SIGNUP": "open", "SIGNUPS_PER_ADDRESS_HOUR": "3"}
    async with start_auth(**settings).client() as one, start_auth(**settings).client() as two:
        made = [await sign_up(client, "192.0.2.7") for client in (one, two, one, two)]
        assert [status for status, _ in made] == [201, 201, 201, 429]
        assert (await sign_up(two, "192.0.2.8"))[0] == 201
        refused = await one.http.post("/v1/accounts", json=ADA, headers={"X-Client-Address": "192.0.2.7"})
    assert 1100 <= int(refused.headers["retry-after"]) <= 1200
    assert "3 sign-ups an hour" in refused.json()["error"]["details"]
    assert await accounts(postgres_server, database_name) == 4


async def test_a_64_of_ipv6_is_one_address_and_so_is_ipv4_written_as_ipv6(start_auth: StartAuth) -> None:
    async with start_auth(SIGNUP="open", SIGNUPS_PER_ADDRESS_HOUR="1").client() as client:
        assert (await sign_up(client, "2001:db8:1:2::1"))[0] == 201
        assert (await sign_up(client, "2001:db8:1:2:ffff::2"))[0] == 429
        assert (await sign_up(client, "2001:db8:1:3::1"))[0] == 201
        assert (await sign_up(client, "::ffff:192.0.2.20"))[0] == 201
        assert (await sign_up(client, "192.0.2.20"))[0] == 429


async def test_all_addresses_together_have_a_limit_too(start_auth: StartAuth) -> None:
    async with start_auth(SIGNUP="open", SIGNUPS_HOUR="3").client() as client:
        statuses = [(await sign_up(client, f"192.0.2.{30 + number}"))[0] for number in range(4)]
    assert statuses == [201, 201, 201, 429]


async def test_a_mistake_in_the_form_costs_nothing(start_auth: StartAuth) -> None:
    async with start_auth(SIGNUP="open", SIGNUPS_PER_ADDRESS_HOUR="1").client() as client:
        for _ in range(5):
            assert (await sign_up(client, "192.0.2.50", email="nobody"))[0] == 400
        assert (await sign_up(client, "192.0.2.50"))[0] == 201


async def test_without_a_client_address_nobody_signs_up(start_auth: StartAuth) -> None:
    async with start_auth(SIGNUP="open").client() as client:
        answer = await client.http.post("/v1/accounts", json=ADA)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "INTERNAL_ERROR")


async def test_wrong_keys_at_the_sign_in_are_counted_by_address(start_auth: StartAuth) -> None:
    async with start_auth(SIGN_INS_PER_ADDRESS_HOUR="3").client() as client:
        headers = {"X-Client-Address": "192.0.2.60"}
        answers = [
            await client.http.post("/v1/session", json={"api_key": keys.new_key()}, headers=headers)
            for _ in range(4)
        ]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert answers[-1].json()["error"]["details"].startswith("At most 3 sign-ins an hour")
