"""Plans: how many requests an account may make; configuration, not code."""

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

MAX_PER_MINUTE: Final = 1_000_000
MAX_BURST: Final = 1_000_000

# Names go into headers as they are (an RFC 9651 string), so they hold nothing that needs escaping.
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token bucket: `per_minute` tokens flow in, at most `burst` are kept. No rate at all is unlimited."""

    per_minute: Annotated[int, Meta(ge=1, le=MAX_PER_MINUTE)]
    burst: Annotated[int, Meta(ge=1, le=MAX_BURST)]


class Plan(msgspec.Struct, frozen=True):
    """A plan's name and its rate; None is unlimited."""

    name: str
    rate: Rate | None


DEFAULT: Final = (
    '{"free": {"per_minute": 60, "burst": 20}, "pro": {"per_minute": 600, "burst": 100},'
    ' "business": {"per_minute": 3000, "burst": 500}, "unlimited": null}'
)


# Of an account's sessions, whatever its plan: looking at the dashboard costs an application no request.
DASHBOARD: Final = Plan("dashboard", Rate(per_minute=600, burst=200))


class Plans:
    """The table of plans."""

    def __init__(self, plans: Mapping[str, Plan]) -> None:
        self._plans = plans
        self._strictest = min(plans.values(), key=_tokens_per_minute)

    @classmethod
    def parse(cls, text: str) -> "Plans":
        """`text`: JSON, names to rates or null. Raises ValueError that names the setting."""
        try:
            rates = msgspec.json.decode(text, type=Annotated[dict[Name, Rate | None], Meta(min_length=1)])
        except msgspec.DecodeError as error:
            raise ValueError(f"PLANS: {error}") from error
        return cls({name: Plan(name, rate) for name, rate in rates.items()})

    def names(self) -> list[str]:
        return list(self._plans)

    def known(self, name: str) -> bool:
        return name in self._plans

    def get(self, name: str) -> Plan:
        """The plan, or the strictest where an account has one that is no longer configured."""
        return self._plans.get(name, self._strictest)


def _tokens_per_minute(plan: Plan) -> float:
    return plan.rate.per_minute if plan.rate else float("inf")
