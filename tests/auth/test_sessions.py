"""Sessions at nginx's question: which bucket they take from, and when they were used last."""

import asyncio

import httpx2
import pytest

from services.auth.csrf import HEADER
from services.auth.sessions import COOKIE
from tests.auth.conftest import Admin, Client, StartAuth
from tests.servers import PostgresServer

pytestmark = pytest.mark.anyio


async def sign_in(client: Client, key: str) -> dict[str, str]:
    """The headers that a browser sends from then on."""
    headers = {"X-Client-Address": "192.0.2.1"}
    signed_in = await client.http.post("/v1/session", json={"api_key": key}, headers=headers)
    client.http.cookies.clear()
    cookie = signed_in.headers["set-cookie"].partition(";")[0]
    assert cookie.startswith(f"{COOKIE}=")
    return {"Cookie": cookie, HEADER: signed_in.json()["csrf_token"]}


async def authorize(client: Client, browser: dict[str, str], method: str, path: str) -> httpx2.Response:
    asked = {"X-Original-Method": method, "X-Original-Path": path, "X-Edge-Request-Id": "1"}
    return await client.http.get("/authorize", headers=browser | asked)


@pytest.mark.parametrize(
    ("method", "path", "limit"),
    [
        ("GET", "/v1/images", "dashboard"),
        ("DELETE", "/v1/images/img_0123456789abcdef", "dashboard"),
        ("POST", "/v1/keys", "dashboard"),
        ("POST", "/v1/upload", "free"),
        ("POST", "/v1/%75pload", "free"),  # the same to nginx and to ingest
        ("POST", "//v1/upload", "free"),
    ],
)
async def test_an_upload_takes_from_the_plan_however_its_path_is_written(
    auth: Client, command: Admin, method: str, path: str, limit: str
) -> None:
    _, _, key = await command.create_account("free")
    answer = await authorize(auth, await sign_in(auth, key), method, path)
    assert answer.status_code == 204
    assert answer.headers["ratelimit-policy"].startswith(f'"{limit}";')


async def test_a_sessions_last_use_is_written_and_is_no_use_of_its_key(
    start_auth: StartAuth, command: Admin, postgres_server: PostgresServer, database_name: str
) -> None:
    _, _, key = await command.create_account()
    async with start_auth(LAST_USE_SECONDS="0.1").client() as client:
        browser = await sign_in(client, key)
        await asyncio.sleep(0.3)  # signing in is a use of the key, and that is written
        postgres_server.psql(database_name, "UPDATE auth.keys SET last_used_at = NULL")
        assert (await authorize(client, browser, "GET", "/v1/account")).status_code == 204
        for _ in range(200):
            if postgres_server.psql(database_name, "SELECT last_used_at FROM auth.sessions"):
                break
            await asyncio.sleep(0.05)
        else:
            pytest.fail("the last use was not written")
    assert postgres_server.psql(database_name, "SELECT count(last_used_at) FROM auth.keys") == "0"
