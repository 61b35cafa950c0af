"""May this key or session make a request now? The one decision that auth exists for."""

import time
from typing import Final

import msgspec
from prometheus_client import Counter

from libs.database import DatabaseUnavailable
from libs.errors import ACCOUNT_SUSPENDED, ApiError, InvalidApiKey, InvalidSession, Unavailable
from libs.usage import Usage
from services.auth import bucket, keys, sessions
from services.auth.accounts import Caller
from services.auth.bucket import Answer, BucketUnavailable, SharedBucket
from services.auth.callers import STALE, Callers, RevokedKey
from services.auth.local_buckets import Decision, LocalBuckets
from services.auth.plans import DASHBOARD, Plan, Plans
from services.auth.uses import Uses

CALLS: Final = (
    "calls"  # in the account's usage: with its keys, refused ones too, and uploads from its sessions
)
TRIES: Final = 3  # more than one change of one account within a request is rare, three are a defect

DEGRADED: Final = Counter("limiter_degraded_total", "Requests counted in this process because Redis was away")


class Grant(msgspec.Struct, frozen=True):
    """A caller who is who they say; whether they may go on is in `decision`, by a bucket of `limit`."""

    caller: Caller
    plan: Plan
    limit: Plan
    decision: Decision

    @property
    def dashboard(self) -> bool:
        """Whether the bucket is that of the account's sessions."""
        return self.limit is DASHBOARD


class Authorizer:
    """Looks up the key or the session, then asks Redis once: is that still so, and is a token left?"""

    def __init__(
        self,
        callers: Callers,
        shared: SharedBucket,
        local: LocalBuckets,
        plans: Plans,
        uses: Uses,
        usage: Usage,
    ) -> None:
        self._callers = callers
        self._shared = shared
        self._local = local
        self._plans = plans
        self._uses = uses
        self._usage = usage

    async def by_key(self, key: str, *, dashboard: bool = False) -> Grant:
        """Raises InvalidApiKey, ACCOUNT_SUSPENDED, or Unavailable where the key cannot be checked now.

        `dashboard`: the request takes from the bucket of the account's sessions.
        """
        if not keys.is_key(key):
            raise InvalidApiKey(sent=True)
        return await self._authorize(keys.digest(key), dashboard)

    async def by_session(self, token: str, *, dashboard: bool = True) -> Grant:
        """The same for a session's token; raises InvalidSession where a key would be invalid."""
        if not sessions.is_token(token):
            raise InvalidSession
        try:
            return await self._authorize(sessions.digest(token), dashboard)
        except InvalidApiKey as error:
            raise InvalidSession from error

    async def level(self, account_id: str, plan: Plan) -> Decision:
        """How full the account's bucket is now; takes nothing."""
        try:
            return await self._shared.take_from(account_id, plan.rate, cost=0)
        except BucketUnavailable:
            DEGRADED.inc()
            return self._local.take(f"{account_id} {bucket.PLAN}", plan.rate, cost=0, now=_now())

    async def _authorize(self, digest: bytes, dashboard: bool) -> Grant:
        """Counts the call, and what is refused here, where the account is known."""
        account_id = None
        try:
            caller = await self._callers.get(digest)
            account_id = caller.account_id
            return await self._grant(digest, caller, dashboard)
        except ApiError as error:
            if isinstance(error, RevokedKey):
                account_id = error.account_id
            if account_id and not dashboard:
                self._usage.refused(account_id, error.problem.code)
            raise
        finally:
            if account_id and not dashboard:
                self._usage.count(account_id, CALLS)

    async def _grant(self, digest: bytes, caller: Caller, dashboard: bool) -> Grant:
        try:
            caller, decision = await self._take_shared(digest, caller, dashboard)
        except BucketUnavailable:
            # Serving beats counting: the plan's rate is kept by this process for its share.
            DEGRADED.inc()
            decision = self._take_local(caller, dashboard)
        if caller.expired(time.time()):
            raise InvalidApiKey(sent=True)
        if caller.suspended:
            raise ApiError(ACCOUNT_SUSPENDED)
        self._uses.used(caller.session_id or caller.key_id)
        return Grant(caller, self._plans.get(caller.plan), self._limit(caller, dashboard), decision)

    async def _take_shared(self, digest: bytes, caller: Caller, dashboard: bool) -> tuple[Caller, Decision]:
        answer = await self._ask(caller, caller.epoch, None, dashboard)
        for _ in range(TRIES - 1):
            if answer.current:
                break
            seen = answer.epoch
            try:
                caller = await self._callers.get_again(digest, seen)
            except DatabaseUnavailable:
                # The entry is older than the account's last change, and nothing newer can be had: it counts
                # as any other while PostgreSQL is away. A revoked key is refused by Redis itself.
                STALE.inc()
                answer = await self._ask(caller, seen, None, dashboard)
            else:
                answer = await self._ask(caller, caller.epoch, seen, dashboard)
        if not answer.current:
            raise Unavailable(retry_seconds=1)
        if answer.revoked:
            raise InvalidApiKey(sent=True)
        return caller, answer.decision

    async def _ask(self, caller: Caller, epoch: str, seen: str | None, dashboard: bool) -> Answer:
        return await self._shared.take(
            caller.account_id,
            caller.key_id,
            self._limit(caller, dashboard).rate,
            cost=_cost(caller),
            epoch=epoch,
            seen=seen,
            session_id=caller.session_id,
            bucket=_bucket(dashboard),
        )

    def _take_local(self, caller: Caller, dashboard: bool) -> Decision:
        name = f"{caller.account_id} {_bucket(dashboard)}"
        rate = self._limit(caller, dashboard).rate
        return self._local.take(name, rate, cost=_cost(caller), now=_now())

    def _limit(self, caller: Caller, dashboard: bool) -> Plan:
        return DASHBOARD if dashboard else self._plans.get(caller.plan)


def _bucket(dashboard: bool) -> str:
    return bucket.DASHBOARD if dashboard else bucket.PLAN


def _now() -> int:
    return time.monotonic_ns() // 1000


def _cost(caller: Caller) -> int:
    """A key that is refused anyway takes nothing from its account."""
    return 1 if caller.usable(time.time()) else 0
