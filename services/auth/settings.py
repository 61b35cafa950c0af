"""What auth reads from its environment."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from libs.identity import parse_secrets
from libs.settings import Secret
from services.auth import plans
from services.auth.plans import Plans


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

    def __post_init__(self) -> None:
        Plans.parse(self.plans)
        parse_secrets(self.identity_secrets.reveal())
        if self.key_stale_seconds < self.key_fresh_seconds:
            raise ValueError("KEY_STALE_SECONDS: must not be less than KEY_FRESH_SECONDS")
