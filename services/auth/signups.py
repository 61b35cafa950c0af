"""Signing up: who may, how often, and what a new account gets."""

from typing import Final

from prometheus_client import Counter

from libs.database import Database
from libs.errors import INVALID_INVITE, SIGNUP_CLOSED, ApiError
from services.auth import accounts, invites, keyring
from services.auth.accounts import Account
from services.auth.keyring import Key
from services.auth.limiter import Limiter, network
from services.auth.settings import SignupMode

DOOR: Final = "sign-ups"
EVERYBODY: Final = "*"
FIRST_KEY: Final = "first"

SIGNUPS: Final = Counter("signups_total", "Accounts that were made by their owners")


class Signups:
    """`per_address` and `in_all`: sign-ups an hour; the second where everybody may."""

    def __init__(
        self,
        database: Database,
        limiter: Limiter,
        mode: SignupMode,
        plan: str,
        *,
        per_address: int,
        in_all: int,
    ) -> None:
        self._database = database
        self._limiter = limiter
        self._mode = mode
        self._plan = plan
        self._per_address = per_address
        self._in_all = in_all

    def check_open(self) -> None:
        """Raises SIGNUP_CLOSED."""
        if self._mode == "closed":
            raise ApiError(SIGNUP_CLOSED)

    async def create(
        self, *, name: str, email: str, invite: str | None, address: str
    ) -> tuple[Account, Key, str]:
        """The account, its first key, and the text of that for the only time.

        Addresses of e-mail are not verified, so an address says nothing about who else has it.
        Raises INVALID_INVITE, and RATE_LIMIT_EXCEEDED before an invite is looked at, so that none is guessed.
        """
        self.check_open()
        await self._limiter.take(DOOR, network(address), self._per_address)
        if self._mode == "open":  # invites are a limit themselves, and nobody can use them up from outside
            await self._limiter.take(DOOR, EVERYBODY, self._in_all)
        async with self._database.connection() as connection, connection.transaction():
            if self._mode == "invite" and not await invites.spend(connection, (invite or "").strip()):
                raise ApiError(INVALID_INVITE)
            account = await accounts.create(connection, name=name, email=email, plan=self._plan)
            key, api_key = await keyring.create(connection, account.id, name=FIRST_KEY)
        SIGNUPS.inc()
        return account, key, api_key
