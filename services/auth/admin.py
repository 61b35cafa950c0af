"""The operator's command for accounts and keys: `python -m services.auth.admin create-account --name Ada`."""

import argparse
import asyncio
import secrets
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from libs.database import Database, DatabaseUnavailable, open_database
from libs.settings import load
from services.auth import accounts, closures, invites, keyring, keys
from services.auth.accounts import AccountNotFound
from services.auth.app import MIGRATIONS, SCHEMA
from services.auth.bucket import BucketUnavailable, open_shared_bucket
from services.auth.keyring import Key, KeyNotFound
from services.auth.plans import Plans
from services.auth.settings import AdminSettings

MAX_KEY_INPUT = 1024  # characters
REDIS_TIMEOUT_SECONDS = 1.0  # nobody waits for an operator's command as for a request


class UsageError(Exception):
    """What the operator asked for cannot be done; the text says why."""


class Admin:
    """The commands. Each prints its result on standard output, and what else there is to say on the other."""

    def __init__(self, settings: AdminSettings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._plans = Plans.parse(settings.plans)

    async def create_account(self, arguments: argparse.Namespace) -> None:
        self._check_plan(arguments.plan)
        account = await accounts.create(
            self._database, name=arguments.name, email=arguments.email, plan=arguments.plan
        )
        note(f"account {account.id}")
        await self._create_key(account.id, "first", None)

    async def create_key(self, arguments: argparse.Namespace) -> None:
        await self._create_key(arguments.account, arguments.name, _after(arguments.expires_days))

    async def _create_key(self, account_id: str, name: str, expires_at: datetime | None) -> None:
        key, text = await keyring.create(self._database, account_id, name=name, expires_at=expires_at)
        note(f"key {key.id}")
        print(text)

    async def revoke_key(self, arguments: argparse.Namespace) -> None:
        account_id = await keyring.revoke(self._database, arguments.key)
        await self._announce(account_id, arguments.key)

    async def set_plan(self, arguments: argparse.Namespace) -> None:
        self._check_plan(arguments.plan)
        await accounts.set_plan(self._database, arguments.account, arguments.plan)
        await self._announce(arguments.account)

    async def suspend_account(self, arguments: argparse.Namespace) -> None:
        await accounts.set_status(self._database, arguments.account, "suspended")
        await self._announce(arguments.account)

    async def resume_account(self, arguments: argparse.Namespace) -> None:
        await accounts.set_status(self._database, arguments.account, "active")
        await self._announce(arguments.account)

    async def delete_account(self, arguments: argparse.Namespace) -> None:
        """As DELETE /v1/account does; the running auth goes on with it."""
        request_id = f"admin {secrets.token_hex(8)}"
        closure = await closures.begin(self._database, arguments.account, request_id, timedelta(0))
        await self._announce(closure.account_id, *closure.ended_ids)
        note(
            f"deleted with {closure.keys} keys and {closure.sessions} sessions; its images follow in seconds"
        )

    async def list_accounts(self, _: argparse.Namespace) -> None:
        for account, count in await accounts.list_accounts(self._database):
            fields = (account.id, account.plan, account.status, f"{count} keys", account.name)
            print("\t".join((*fields, account.email or "")).rstrip())

    async def list_keys(self, arguments: argparse.Namespace) -> None:
        for key in await keyring.list_all(self._database, arguments.account):
            expires, used = _day(key.expires_at), _day(key.last_used_at)
            print("\t".join((key.id, _state(key), f"expires {expires}", f"last used {used}", key.name)))

    async def check_key(self, arguments: argparse.Namespace) -> None:
        """Whose key a leaked one is; the text of it is not printed again."""
        text = (arguments.key or sys.stdin.read(MAX_KEY_INPUT)).strip()
        if not keys.is_key(text):
            raise UsageError("noise: not a key of this service, its form or its checksum is wrong")
        found = await keyring.find(self._database, keys.digest(text))
        if found is None:
            raise UsageError("unknown: the form of a key, but not one that this database knows")
        key, account_id = found
        print("\t".join((key.id, account_id, _state(key), key.name)))

    async def create_invite(self, arguments: argparse.Namespace) -> None:
        expires_at = _after(arguments.expires_days)
        invite_id, code = await invites.create(
            self._database, uses=arguments.uses, note=arguments.note, expires_at=expires_at
        )
        note(f"invite {invite_id}")
        print(code)

    async def list_invites(self, _: argparse.Namespace) -> None:
        for invite in await invites.list_invites(self._database):
            used, expires = f"{invite.used} of {invite.uses} used", f"expires {_day(invite.expires_at)}"
            print("\t".join((invite.id, used, expires, invite.note)).rstrip())

    def _check_plan(self, plan: str) -> None:
        if not self._plans.known(plan):
            raise UsageError(f"there is no plan {plan!r}; PLANS has {', '.join(self._plans.names())}")

    async def _announce(self, account_id: str, *revoked_ids: str) -> None:
        """Makes the change hold on the next request."""
        if self._settings.redis_url is None:
            note("warning: REDIS_URL is not set; the change holds within 60 seconds")
            return
        async with open_shared_bucket(self._settings.redis_url.reveal(), REDIS_TIMEOUT_SECONDS) as shared:
            try:
                await shared.changed(account_id, *revoked_ids)
            except BucketUnavailable:
                note("warning: Redis does not answer; the change holds within 60 seconds")


Command = Callable[[Admin, argparse.Namespace], Awaitable[None]]


def note(text: str) -> None:
    print(text, file=sys.stderr)


def _state(key: Key) -> str:
    if key.revoked_at:
        return f"revoked {_day(key.revoked_at)}"
    if key.expires_at and key.expires_at <= datetime.now(UTC):
        return f"expired {_day(key.expires_at)}"
    return "active"


def _after(days: int | None) -> datetime | None:
    return datetime.now(UTC) + timedelta(days=days) if days else None


def _day(at: datetime | None) -> str:
    return at.date().isoformat() if at else "never"


def parse_arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m services.auth.admin", description="Accounts and API keys."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Command, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    create = add("create-account", Admin.create_account, "make an account and print its first key")
    create.add_argument("--name", required=True)
    create.add_argument("--email")
    create.add_argument("--plan", default="free")
    create_key = add("create-key", Admin.create_key, "print a new key of an account")
    create_key.add_argument("--account", required=True, metavar="ID")
    create_key.add_argument("--name", required=True)
    create_key.add_argument("--expires-days", type=_days, metavar="N")
    revoke = add("revoke-key", Admin.revoke_key, "refuse a key from now on")
    revoke.add_argument("--key", required=True, metavar="KEY_ID", help="its id, see list-keys")
    set_plan = add("set-plan", Admin.set_plan, "move an account to another plan")
    set_plan.add_argument("--account", required=True, metavar="ID")
    set_plan.add_argument("--plan", required=True)
    suspend = add("suspend-account", Admin.suspend_account, "refuse all keys of an account with 403")
    suspend.add_argument("--account", required=True, metavar="ID")
    resume = add("resume-account", Admin.resume_account, "end a suspension")
    resume.add_argument("--account", required=True, metavar="ID")
    delete = add("delete-account", Admin.delete_account, "delete an account and everything in it, for ever")
    delete.add_argument("--account", required=True, metavar="ID")
    add("list-accounts", Admin.list_accounts, "print all accounts, oldest first")
    list_keys = add("list-keys", Admin.list_keys, "print the keys of an account, oldest first")
    list_keys.add_argument("--account", required=True, metavar="ID")
    check = add("check-key", Admin.check_key, "say whose a leaked key is, or that it is noise")
    check.add_argument("key", metavar="KEY", nargs="?", help="without it, read from standard input")
    invite = add("create-invite", Admin.create_invite, "print a code that signing up asks for: SIGNUP=invite")
    invite.add_argument("--uses", type=_uses, default=1, metavar="N", help="so many accounts (1)")
    invite.add_argument("--expires-days", type=_days, metavar="N")
    invite.add_argument("--note", default="", help="whom it is for")
    add("list-invites", Admin.list_invites, "print all invites, oldest first, without their codes")
    return parser.parse_args(words)


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= 36_500:
        raise argparse.ArgumentTypeError("use 1 to 36500 days")
    return days


def _uses(text: str) -> int:
    uses = int(text)
    if not 1 <= uses <= 1_000_000:
        raise argparse.ArgumentTypeError("use 1 to 1000000")
    return uses


async def run(settings: AdminSettings, arguments: argparse.Namespace) -> None:
    timeout_seconds = settings.database_timeout_seconds
    async with open_database(
        settings.database_url.reveal(), SCHEMA, MIGRATIONS, timeout_seconds, connections=1
    ) as database:
        if not database.migrated:
            await database.migrate()
        await arguments.run(Admin(settings, database), arguments)


def main() -> None:
    arguments = parse_arguments()
    settings = load(AdminSettings)
    try:
        asyncio.run(run(settings, arguments))
    except DatabaseUnavailable as error:
        sys.exit(f"PostgreSQL does not answer: {error.__cause__!r}")
    except AccountNotFound as error:
        sys.exit(f"there is no account {error.account_id}")
    except KeyNotFound as error:
        sys.exit(f"there is no key {error} that is not revoked already")
    except UsageError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
