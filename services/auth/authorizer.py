"""May this key make a request now? The one decision that auth exists for."""

import time
from typing import Final

import msgspec
from prometheus_client import Counter

from libs.database import DatabaseUnavailable
from libs.errors import ACCOUNT_SUSPENDED, ApiError, InvalidApiKey, Unavailable
from services.auth import keys
from services.auth.accounts import Caller
from services.auth.bucket import Answer, BucketUnavailable, SharedBucket
from services.auth.callers import STALE, Callers
from services.auth.local_buckets import Decision, LocalBuckets
from services.auth.plans import Plan, Plans
from services.auth.uses import Uses

TRIES: Final = 3  # more than one change of one account within a request is rare, three are a defect

DEGRADED: Final = Counter("limiter_degraded_total", "Requests counted in this process because Redis was away")


class Grant(msgspec.Struct, frozen=True):
    """A caller who is who they say; whether they may go on is in `decision`."""

    caller: Caller
    plan: Plan
    decision: Decision


class Authorizer:
    """Looks up the key, then asks Redis once: is that still so, and is a token left?"""

    def __init__(
        self, callers: Callers, shared: SharedBucket, local: LocalBuckets, plans: Plans, uses: Uses
    ) -> None:
        self._callers = callers
        self._shared = shared
        self._local = local
        self._plans = plans
        self._uses = uses

    async def authorize(self, key: str) -> Grant:
        """Raises InvalidApiKey, ACCOUNT_SUSPENDED, or Unavailable where the key cannot be checked now."""
        if not keys.is_key(key):
            raise InvalidApiKey(sent=True)
        digest = keys.digest(key)
        caller = await self._callers.get(digest)
        try:
            caller, decision = await self._take_shared(digest, caller)
        except BucketUnavailable:
            # Serving beats counting: the plan's rate is kept by this process for its share.
            DEGRADED.inc()
            decision = self._take_local(caller)
        if caller.expired(time.time()):
            raise InvalidApiKey(sent=True)
        if caller.suspended:
            raise ApiError(ACCOUNT_SUSPENDED)
        self._uses.used(caller.key_id)
        return Grant(caller, self._plans.get(caller.plan), decision)

    async def _take_shared(self, digest: bytes, caller: Caller) -> tuple[Caller, Decision]:
        answer = await self._ask(caller, caller.epoch, None)
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
                answer = await self._ask(caller, seen, None)
            else:
                answer = await self._ask(caller, caller.epoch, seen)
        if not answer.current:
            raise Unavailable(retry_seconds=1)
        if answer.revoked:
            raise InvalidApiKey(sent=True)
        return caller, answer.decision

    async def _ask(self, caller: Caller, epoch: str, seen: str | None) -> Answer:
        rate = self._plans.get(caller.plan).rate
        return await self._shared.take(
            caller.account_id, caller.key_id, rate, cost=_cost(caller), epoch=epoch, seen=seen
        )

    def _take_local(self, caller: Caller) -> Decision:
        rate = self._plans.get(caller.plan).rate
        now = time.monotonic_ns() // 1000
        return self._local.take(caller.account_id, rate, cost=_cost(caller), now=now)


def _cost(caller: Caller) -> int:
    """A key that is refused anyway takes nothing from its account."""
    return 1 if caller.usable(time.time()) else 0
