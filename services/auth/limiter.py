"""How often one client address may come to a door that needs no key."""

import time
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from prometheus_client import Counter

from libs.errors import RATE_LIMIT_EXCEEDED, ApiError
from services.auth.authorizer import DEGRADED
from services.auth.bucket import BucketUnavailable, SharedBucket
from services.auth.local_buckets import Decision, LocalBuckets
from services.auth.plans import Rate

TOKENS: Final = 60  # a visit: at `per_hour` tokens a minute, so many visits flow in within an hour
IPV6_PREFIX: Final = 64  # the least that a provider gives a customer, and one machine can use all of it

REFUSALS: Final = Counter("door_refusals_total", "Visitors without a key who came too often", ["door"])


class Limiter:
    """A bucket in Redis for each door and address; in this process while Redis is away."""

    def __init__(self, shared: SharedBucket, local: LocalBuckets) -> None:
        self._shared = shared
        self._local = local

    async def take(self, door: str, visitor: str, per_hour: int) -> None:
        """One visit of `per_hour`, at once or spread; raises RATE_LIMIT_EXCEEDED with Retry-After.

        `visitor`: what is counted, such as `network(address)`.
        """
        rate, name = Rate(per_minute=per_hour, burst=per_hour * TOKENS), f"{door} {visitor}"
        try:
            decision = await self._shared.take_from(name, rate, cost=TOKENS)
        except BucketUnavailable:
            DEGRADED.inc()
            decision = self._local.take(name, rate, cost=TOKENS, now=time.monotonic_ns() // 1000)
        if not decision.allowed:
            REFUSALS.labels(door).inc()
            raise _refusal(door, per_hour, decision)


def network(address: str) -> str:
    """Who is counted as one: an IPv4 address, the /64 of an IPv6 address, or whatever else nginx says."""
    try:
        parsed = ip_address(address)
    except ValueError:  # a Unix socket: all who come through it
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ip_network((parsed, IPV6_PREFIX), strict=False))
        parsed = parsed.ipv4_mapped
    return str(parsed)


def _refusal(door: str, per_hour: int, decision: Decision) -> ApiError:
    seconds = max(1, -(-decision.next_token // 1_000_000))
    details = f"At most {per_hour} {door} an hour are accepted; send the request again in {seconds} s"
    return ApiError(RATE_LIMIT_EXCEEDED, details, {"Retry-After": str(seconds)})
