"""When a session was used last."""

import asyncio

import pytest

from services.auth.sessions import COOKIE
from tests.auth.conftest import Admin, StartAuth
from tests.servers import PostgresServer

pytestmark = pytest.mark.anyio


async def test_a_sessions_last_use_is_written_and_is_no_use_of_its_key(
    start_auth: StartAuth, command: Admin, postgres_server: PostgresServer, database_name: str
) -> None:
    _, _, key = await command.create_account()
    async with start_auth(LAST_USE_SECONDS="0.1").client() as client:
        headers = {"X-Client-Address": "192.0.2.1"}
        signed_in = await client.http.post("/v1/session", json={"api_key": key}, headers=headers)
        token = signed_in.headers["set-cookie"].partition(";")[0].removeprefix(f"{COOKIE}=")
        await asyncio.sleep(0.3)  # signing in is a use of the key, and that is written
        postgres_server.psql(database_name, "UPDATE auth.keys SET last_used_at = NULL")
        asked = {
            "X-Original-Method": "GET",
            "X-Original-Path": "/v1/account",
            "X-Edge-Request-Id": "1",
            "Cookie": f"{COOKIE}={token}",
        }
        client.http.cookies.clear()
        assert (await client.http.get("/authorize", headers=asked)).status_code == 204
        for _ in range(200):
            used = postgres_server.psql(database_name, "SELECT last_used_at FROM auth.sessions")
            if used:
                break
            await asyncio.sleep(0.05)
        else:
            pytest.fail("the last use was not written")
    assert postgres_server.psql(database_name, "SELECT count(last_used_at) FROM auth.keys") == "0"
