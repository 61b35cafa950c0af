"""What auth reads from its environment."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from libs.identity import parse_secrets
from libs.settings import Secret
from services.auth import plans
from services.auth.plans import Plans

SignupMode = Literal["open", "invite", "closed"]
PerHour = Annotated[int, Meta(ge=1, le=1_000_000)]

DEFAULT_PLAN: Final = "free"


class AdminSettings(Struct, frozen=True, kw_only=True, rename="upper"):
    """What the admin command needs: without REDIS_URL its changes hold within `KEY_FRESH_SECONDS`."""

    database_url: Secret
    redis_url: Secret | None = None
    plans: str = plans.DEFAULT
    database_timeout_seconds: Annotated[float, Meta(gt=0, le=30)] = 1

    def __post_init__(self) -> None:
        Plans.parse(self.plans)


class Settings(Struct, frozen=True, kw_only=True, rename="upper"):
    """`auth_processes`: how many processes share a plan's rate while Redis is down.

    `key_fresh_seconds`: how long a key is believed without asking PostgreSQL again.
    `key_stale_seconds`: the same while PostgreSQL is down.
    `signup`: who may make an account: everybody, who has an invite, or only the admin command.
    `ingest_url`: nginx's inner control address, by which ingest is asked.
    `…_hour`: how many are accepted, at once or spread, from a client address (IPv6: a /64) or in all.
    """

    database_url: Secret
    redis_url: Secret
    identity_secrets: Secret
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    plans: str = plans.DEFAULT
    auth_processes: Annotated[int, Meta(ge=1, le=1000)] = 1
    redis_timeout_seconds: Annotated[float, Meta(gt=0, le=1)] = 0.04
    database_timeout_seconds: Annotated[float, Meta(gt=0, le=30)] = 1
    database_connections: Annotated[int, Meta(ge=2, le=100)] = 8
    key_cache_entries: Annotated[int, Meta(ge=1, le=10_000_000)] = 100_000
    key_fresh_seconds: Annotated[float, Meta(gt=0, le=3600)] = 60
    key_stale_seconds: Annotated[float, Meta(gt=0, le=86400)] = 600
    last_use_seconds: Annotated[float, Meta(gt=0, le=30)] = 30
    ingest_url: Annotated[str, Meta(pattern=r"^(unix:/[^,]+|http://[^,/]+)$")] = "http://nginx:8081"
    closures_seconds: Annotated[float, Meta(gt=0, le=60)] = 5
    usage_seconds: Annotated[float, Meta(gt=0, le=60)] = 15
    signup: SignupMode = "closed"
    signup_plan: str = DEFAULT_PLAN
    signups_per_address_hour: PerHour = 10
    signups_hour: PerHour = 1000
    sign_ins_per_address_hour: PerHour = 300

    def __post_init__(self) -> None:
        plans = Plans.parse(self.plans)
        if not plans.known(self.signup_plan) and self.signup_plan != DEFAULT_PLAN:
            raise ValueError(f"SIGNUP_PLAN: PLANS has {', '.join(plans.names())}")
        parse_secrets(self.identity_secrets.reveal())
        if self.key_stale_seconds < self.key_fresh_seconds:
            raise ValueError("KEY_STALE_SECONDS: must not be less than KEY_FRESH_SECONDS")
