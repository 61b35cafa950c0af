"""Idempotency keys: what one is, who holds it, and what a retry gets; in a real PostgreSQL."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest

from libs.database import Database, DatabaseUnavailable
from libs.errors import IDEMPOTENCY_KEY_IN_USE, IDEMPOTENCY_KEY_REUSED, INVALID_REQUEST, ApiError
from services.ingest.deletions import Deletions
from services.ingest.idempotency import Attempt, Claims, fingerprint, parse_key
from services.ingest.images import Images
from tests.servers import PostgresServer

pytestmark = pytest.mark.anyio

FIRST: Final = "img_0000000000000001"
SECOND: Final = "img_0000000000000002"
ATTEMPT: Final = Attempt("key", b"the same")

MakeClaims = Callable[..., Claims]


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("abc", "abc"),
        ('"abc"', "abc"),
        ("  abc ", "abc"),
        (r'"a\"b\\c"', r'a"b\c'),
        ("a b", "a b"),
        ("550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440000"),
        ("x" * 255, "x" * 255),
        ('"' + "x" * 255 + '"', "x" * 255),
        ('"' + r"\"" * 255 + '"', '"' * 255),
        ('"open', '"open'),
    ],
)
def test_a_key_is_bare_or_a_quoted_string(header: str, key: str) -> None:
    assert parse_key([header]) == key


@pytest.mark.parametrize(
    "headers",
    [[""], ["  "], ['""'], ["x" * 256], ['"' + "x" * 256 + '"'], ["a\tb"], ["a\x7f"], ["é"], ["a", "a"]],
)
def test_what_is_no_key_is_refused(headers: list[str]) -> None:
    with pytest.raises(ApiError) as refused:
        parse_key(headers)
    assert refused.value.problem is INVALID_REQUEST


def test_without_the_header_there_is_no_key() -> None:
    assert parse_key([]) is None


def test_the_user_and_the_picture_make_the_request(tmp_path: Path) -> None:
    image, other = tmp_path / "a", tmp_path / "b"
    image.write_bytes(b"picture")
    other.write_bytes(b"picturf")
    assert fingerprint("u", image) == fingerprint("u", image)
    assert len({fingerprint("u", image), fingerprint("v", image), fingerprint("u", other)}) == 3


@pytest.fixture
async def claims(server: PostgresServer) -> AsyncGenerator[MakeClaims]:
    """Each as another process would have them, on one database."""
    url = server.url(server.create_database())
    async with AsyncExitStack() as all_claims:

        def make(seconds: float = 5) -> Claims:
            made = Claims(url, seconds)
            all_claims.push_async_callback(made.close)
            return made

        yield make


async def in_use(claims: Claims, account: str = "acct_a", key: str = "key") -> bool:
    claim = claims.claim(account, key)
    try:
        await claim.__aenter__()
    except ApiError as error:
        return error.problem is IDEMPOTENCY_KEY_IN_USE and int(error.headers["Retry-After"]) > 0
    await claim.__aexit__(None, None, None)
    return False


async def test_a_key_is_in_use_in_every_process_until_its_request_ends(claims: MakeClaims) -> None:
    here, there = claims(), claims()
    async with here.claim("acct_a", "key"):
        assert await in_use(here)
        assert await in_use(there)
        assert not await in_use(there, "acct_b")
        assert not await in_use(there, key="another")
    assert not await in_use(here)
    assert not await in_use(there)


async def test_a_request_that_fails_lets_go_of_its_key(claims: MakeClaims) -> None:
    here, there = claims(), claims()
    with pytest.raises(ValueError, match="bad picture"):
        async with here.claim("acct_a", "key"):
            raise ValueError("bad picture")
    assert not await in_use(there)


async def test_of_many_at_once_one_gets_the_key(claims: MakeClaims) -> None:
    here, there = claims(), claims()
    all_tried = asyncio.Event()
    outcomes: list[str] = []

    async def try_it(mine: Claims) -> None:
        try:
            async with mine.claim("acct_a", "key"):
                outcomes.append("held")
                await all_tried.wait()
        except ApiError:
            outcomes.append("refused")
        if len(outcomes) == 50:
            all_tried.set()

    async with asyncio.timeout(30):
        await asyncio.gather(*(try_it(mine) for mine in (here, there) * 25))
    assert sorted(outcomes) == ["held"] + ["refused"] * 49


async def test_a_process_that_dies_lets_go_of_its_keys(claims: MakeClaims) -> None:
    dying, surviving = claims(), claims()
    async with dying.claim("acct_a", "key"):
        await dying.close()
        assert not await in_use(surviving)


async def test_a_key_is_free_although_letting_go_of_it_failed(
    claims: MakeClaims, server: PostgresServer
) -> None:
    here, there = claims(0.3), claims()
    async with here.claim("acct_a", "key"):
        with server.hung(), pytest.raises(DatabaseUnavailable):
            async with here.claim("acct_a", "another"):
                pass
    assert not await in_use(there)
    assert not await in_use(here)


async def test_all_who_wait_for_a_postgres_that_hangs_are_told_together(
    claims: MakeClaims, server: PostgresServer
) -> None:
    mine = claims(0.5)
    assert not await in_use(mine)

    async def ask(number: int) -> None:
        with pytest.raises(DatabaseUnavailable):
            async with mine.claim("acct_a", f"key {number}"):
                pass

    with server.hung():
        async with asyncio.timeout(10):  # one after the other they would take 20 s
            await asyncio.gather(*map(ask, range(40)))
    assert not await in_use(mine)


async def test_a_claim_survives_a_restart_of_postgres(claims: MakeClaims, server: PostgresServer) -> None:
    """The lock is lost with it, the next one works."""
    here = claims()
    async with here.claim("acct_a", "key"):
        with server.gone():
            pass
    assert not await in_use(here)


async def make(images: Images, image_id: str, attempt: Attempt = ATTEMPT, account: str = "acct_a") -> bool:
    await images.reserve(image_id, account, "u", 1, f"request of {image_id}")
    return await images.finish(image_id, f"request of {image_id}", 1, 1, attempt) is not None


async def replayed(images: Images, attempt: Attempt = ATTEMPT, account: str = "acct_a") -> str | None:
    image = await images.replay(account, attempt)
    return image.image_id if image else None


async def test_a_finished_request_is_replayed(images: Images) -> None:
    assert await replayed(images) is None
    assert await make(images, FIRST)
    assert await replayed(images) == FIRST


async def test_an_unfinished_request_takes_no_key(images: Images) -> None:
    await images.reserve(FIRST, "acct_a", "u", 1, "r1")
    assert await replayed(images) is None
    assert await make(images, SECOND)
    assert await replayed(images) == SECOND


async def test_the_same_key_for_something_else_is_refused(images: Images) -> None:
    await make(images, FIRST)
    with pytest.raises(ApiError) as refused:
        await images.replay("acct_a", Attempt("key", b"something else"))
    assert refused.value.problem is IDEMPOTENCY_KEY_REUSED


async def test_accounts_have_their_own_keys(images: Images) -> None:
    await make(images, FIRST)
    assert await replayed(images, account="acct_b") is None
    assert await make(images, SECOND, account="acct_b")
    assert (await replayed(images), await replayed(images, account="acct_b")) == (FIRST, SECOND)


async def test_of_two_that_lost_the_lock_the_second_leaves_nothing_visible(images: Images) -> None:
    assert await make(images, FIRST)
    assert not await make(images, SECOND)
    assert await images.find("acct_a", SECOND) is None
    assert await replayed(images) == FIRST


async def test_a_key_is_forgotten_after_a_day(images: Images, database: Database) -> None:
    other = Attempt("key", b"something else")
    await make(images, FIRST)
    await database.execute("UPDATE idempotency_keys SET created_at = now() - interval '23:59:50'")
    await images.forget_old_keys()
    assert await replayed(images) == FIRST
    await database.execute("UPDATE idempotency_keys SET created_at = now() - interval '24:00:01'")
    assert await replayed(images) is None
    assert await replayed(images, other) is None
    assert await make(images, SECOND, other)
    assert await replayed(images, other) == SECOND


async def test_old_keys_are_removed(images: Images, database: Database) -> None:
    await make(images, FIRST)
    await database.execute("UPDATE idempotency_keys SET created_at = now() - interval '24:00:01'")
    await images.forget_old_keys()
    assert await database.fetch("SELECT * FROM idempotency_keys") == []
    assert await images.find("acct_a", FIRST)


async def test_the_key_goes_with_the_picture(images: Images, deletions: Deletions) -> None:
    await make(images, FIRST)
    assert await deletions.image("acct_a", FIRST)
    assert await replayed(images) is None
    assert await make(images, SECOND)
