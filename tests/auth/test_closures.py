"""Deleting an account: a real PostgreSQL and Redis, and an ingest that answers what it is told."""

from collections.abc import AsyncGenerator

import pytest

from libs.database import Database, open_database
from services.auth import accounts, keyring, sessions
from services.auth.accounts import AccountNotFound
from services.auth.app import MIGRATIONS, SCHEMA
from services.auth.bucket import open_shared_bucket
from services.auth.changes import Changes
from services.auth.closures import Closures, Receipt
from services.auth.ingest import Ingest, IngestUnavailable, Purged
from tests.auth.conftest import Environment

pytestmark = pytest.mark.anyio

DONE = Purged(images=3, objects=15, nodes=1, complete=True)


class FakeIngest(Ingest):
    """Has these answers, the first one first; None is that it is away."""

    def __init__(self) -> None:
        self.answers: list[Purged | None] = []
        self.asked: list[tuple[str, str]] = []

    async def delete_account(self, account_id: str, request_id: str) -> Purged:
        self.asked.append((account_id, request_id))
        answer = self.answers.pop(0)
        if answer is None:
            raise IngestUnavailable
        return answer


@pytest.fixture
async def database(environment: Environment) -> AsyncGenerator[Database]:
    async with open_database(environment["DATABASE_URL"], SCHEMA, MIGRATIONS, 5) as database:
        yield database


@pytest.fixture
def ingest() -> FakeIngest:
    return FakeIngest()


@pytest.fixture
async def closures(
    database: Database, environment: Environment, ingest: FakeIngest
) -> AsyncGenerator[Closures]:
    async with open_shared_bucket(environment["REDIS_URL"], 1) as shared:
        yield Closures(database, Changes(shared), ingest)


@pytest.fixture
async def account_id(database: Database) -> str:
    """Of an account with two keys, a third that is revoked, and a session."""
    account = await accounts.create(database, name="Ada", email="ada@example.com", plan="free")
    made = [(await keyring.create(database, account.id, name=f"key {n}"))[0] for n in range(3)]
    await keyring.revoke(database, made[0].id)
    await sessions.create(database, account.id, made[1].id, "a browser of Ada")
    return account.id


async def left(database: Database) -> list[str]:
    """The ids of the accounts of which something is to be done."""
    return [row["account_id"] for row in await database.fetch("SELECT account_id FROM closures")]


async def make_due(database: Database, minutes_old: float = 0) -> None:
    await database.execute(
        "UPDATE closures SET next_attempt_at = now(), requested_at = now() - make_interval(mins => $1)",
        minutes_old,
    )


async def test_the_account_its_keys_and_its_sessions_are_gone_before_ingest_is_asked(
    closures: Closures, ingest: FakeIngest, database: Database, account_id: str
) -> None:
    ingest.answers = [None]
    assert await closures.close(account_id, "r1") == Receipt(account_id, 2, 1, Purged())
    for table in ("accounts", "keys", "sessions"):
        assert await database.fetch(f"SELECT FROM {table}") == []
    assert await left(database) == [account_id]


async def test_a_request_that_nginx_sends_again_has_the_same_receipt(
    closures: Closures, ingest: FakeIngest, account_id: str
) -> None:
    ingest.answers = [None, DONE]
    await closures.close(account_id, "r1")
    assert await closures.close(account_id, "r1") == Receipt(account_id, 2, 1, DONE)
    assert ingest.asked == [(account_id, "r1")] * 2
    with pytest.raises(AccountNotFound):
        await closures.close(account_id, "r2")


async def test_ingest_is_asked_until_it_is_complete_and_then_no_more(
    closures: Closures, ingest: FakeIngest, database: Database, account_id: str
) -> None:
    ingest.answers = [None, None, Purged(images=3), DONE]
    await closures.close(account_id, "r1")
    await closures.go_on()
    assert len(ingest.asked) == 1, "the lease of the one who began"
    for _ in range(5):
        await make_due(database)
        await closures.go_on()
    assert ingest.asked == [(account_id, "r1")] * 4
    assert await left(database) == [account_id]


async def test_the_row_goes_when_no_process_can_write_of_the_account_any_more(
    closures: Closures, ingest: FakeIngest, database: Database, account_id: str
) -> None:
    ingest.answers = [DONE]
    await closures.close(account_id, "r1")
    await database.execute("INSERT INTO usage VALUES ($1, current_date, 'calls', 1)", account_id)
    for minutes_old, after in ((4, [account_id]), (6, [])):
        await make_due(database, minutes_old)
        await closures.go_on()
        assert await left(database) == after
    assert await database.fetch("SELECT * FROM usage") == []


async def test_what_ingest_has_is_never_forgotten_however_old_the_row_is(
    closures: Closures, ingest: FakeIngest, database: Database, account_id: str
) -> None:
    ingest.answers = [None, None, DONE]
    await closures.close(account_id, "r1")
    for _ in range(2):
        await make_due(database, 10_000)
        await closures.go_on()
        assert await left(database) == [account_id]
    await make_due(database, 10_000)
    await closures.go_on()
    assert await left(database) == []
