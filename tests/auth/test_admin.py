import os
import subprocess
import sys

import pytest

from libs.settings import Secret
from services.auth import keys
from services.auth.accounts import AccountNotFound
from services.auth.admin import UsageError
from services.auth.keyring import KeyNotFound
from services.auth.settings import AdminSettings
from tests.auth.conftest import Admin, Environment
from tests.servers import PostgresServer

pytestmark = pytest.mark.anyio


def run(environment: Environment, *words: str, given: str = "") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "services.auth.admin", *words]
    return subprocess.run(
        command,
        env=os.environ | environment,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_key_is_all_that_is_printed_on_standard_output(environment: Environment) -> None:
    result = run(
        environment, "create-account", "--name", "Ada", "--email", "ada@example.com", "--plan", "pro"
    )
    assert result.returncode == 0
    assert keys.is_key(result.stdout.removesuffix("\n"))
    assert result.stderr.startswith("account acct_")


def test_an_unknown_plan_is_one_clear_line(environment: Environment) -> None:
    result = run(environment, "create-account", "--name", "Ada", "--plan", "gold")
    assert result.returncode == 1
    assert result.stderr == "there is no plan 'gold'; PLANS has free, pro, business, unlimited\n"


def test_a_database_that_is_away_is_one_clear_line(environment: Environment) -> None:
    away = {**environment, "DATABASE_URL": "postgresql:///x?host=/nowhere&user=x"}
    result = run(away, "list-accounts")
    assert result.returncode == 1
    assert result.stderr.startswith("PostgreSQL does not answer")
    assert result.stderr.count("\n") == 1


def test_a_missing_setting_is_one_clear_line(environment: Environment) -> None:
    result = run({**environment, "DATABASE_URL": ""}, "list-accounts")
    assert result.returncode != 0
    assert "DATABASE_URL" in result.stderr
    assert result.stderr.count("\n") == 1


async def test_accounts_and_keys_are_listed(command: Admin) -> None:
    account_id, key_id, _ = await command.create_account("pro")
    await command.run("create-key", "--account", account_id, "--name", "second", "--expires-days", "30")
    await command.run("revoke-key", "--key", key_id)
    accounts, _ = await command.run("list-accounts")
    assert accounts == f"{account_id}\tpro\tactive\t1 keys\tAda\n"
    listed, _ = await command.run("list-keys", "--account", account_id)
    first, second = listed.splitlines()
    assert first.startswith(f"{key_id}\trevoked ")
    assert "\tactive\t" in second


async def test_no_key_is_kept(command: Admin, postgres_server: PostgresServer, database_name: str) -> None:
    _, _, key = await command.create_account()
    rows = postgres_server.psql(database_name, "SELECT a, k FROM auth.accounts a, auth.keys k")
    assert key[8:] not in rows
    assert keys.digest(key).hex() in rows


async def test_a_leaked_key_is_traced_to_its_account(command: Admin) -> None:
    account_id, key_id, key = await command.create_account()
    assert await command.run("check-key", key) == (f"{key_id}\t{account_id}\tactive\tfirst\n", "")
    await command.run("revoke-key", "--key", key_id)
    output, _ = await command.run("check-key", key)
    assert output.startswith(f"{key_id}\t{account_id}\trevoked ")


async def test_noise_is_told_from_a_key_that_is_unknown(command: Admin) -> None:
    _, _, key = await command.create_account()
    for noise in (key[:-1], key[:-1] + "~", key.upper(), "password"):
        with pytest.raises(UsageError, match="noise"):
            await command.run("check-key", noise)
    with pytest.raises(UsageError, match="unknown"):
        await command.run("check-key", keys.new_key())


async def test_a_leaked_key_can_come_on_standard_input(command: Admin, environment: Environment) -> None:
    _, key_id, key = await command.create_account()
    result = run(environment, "check-key", given=f"{key}\n")
    assert (result.returncode, result.stdout.partition("\t")[0]) == (0, key_id)
    result = run(environment, "check-key", given="something\n")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("noise: ")


async def test_an_invite_is_printed_once_and_kept_as_its_digest(
    command: Admin, postgres_server: PostgresServer, database_name: str
) -> None:
    words = ("--uses", "3", "--note", "for Ada", "--expires-days", "7")
    code, notes = await command.run("create-invite", *words)
    listed, _ = await command.run("list-invites")
    invite_id = notes.split()[1]
    assert listed.startswith(f"{invite_id}\t0 of 3 used\texpires 2")
    assert listed.endswith("\tfor Ada\n")
    assert code.strip() not in listed + postgres_server.psql(database_name, "SELECT i FROM auth.invites i")


async def test_what_does_not_exist_is_said_to_be_missing(command: Admin) -> None:
    missing = "acct_0000000000000000"
    for words in (
        ("create-key", "--account", missing, "--name", "x"),
        ("set-plan", "--account", missing, "--plan", "pro"),
        ("suspend-account", "--account", missing),
    ):
        with pytest.raises(AccountNotFound):
            await command.run(*words)
    with pytest.raises(KeyNotFound):
        await command.run("revoke-key", "--key", "key_0000000000000000")


async def test_a_key_is_revoked_once(command: Admin) -> None:
    _, key_id, _ = await command.create_account()
    await command.run("revoke-key", "--key", key_id)
    with pytest.raises(KeyNotFound):
        await command.run("revoke-key", "--key", key_id)


async def test_without_redis_url_the_delay_is_said(environment: Environment) -> None:
    settings = AdminSettings(database_url=Secret(environment["DATABASE_URL"]), database_timeout_seconds=10)
    command = Admin(settings)
    account_id, _, _ = await command.create_account()
    _, notes = await command.run("set-plan", "--account", account_id, "--plan", "pro")
    assert notes == "warning: REDIS_URL is not set; the change holds within 60 seconds\n"
