"""Plans: how many requests an account may make and how many images it may keep; configuration, not code."""

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

MAX_PER_MINUTE: Final = 1_000_000
MAX_BURST: Final = 1_000_000
MAX_IMAGES: Final = 10**15  # exact in every JSON reader's numbers

# Names go into headers as they are (an RFC 9651 string), so they hold nothing that needs escaping.
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


class Rate(msgspec.Struct, frozen=True):
    """A token bucket: `per_minute` tokens flow in, at most `burst` are kept. No rate at all is unlimited."""

    per_minute: int
    burst: int


class Plan(msgspec.Struct, frozen=True):
    """A plan's name, its rate, and how many images an account may keep; None is unlimited."""

    name: str
    rate: Rate | None
    images: int | None = None


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plan as it is configured: a rate, a number of images, or both."""

    per_minute: Annotated[int, Meta(ge=1, le=MAX_PER_MINUTE)] | None = None
    burst: Annotated[int, Meta(ge=1, le=MAX_BURST)] | None = None
    images: Annotated[int, Meta(ge=1, le=MAX_IMAGES)] | None = None

    def __post_init__(self) -> None:
        if (self.per_minute is None) != (self.burst is None):
            raise ValueError("per_minute and burst belong together")

    def plan(self, name: str) -> Plan:
        rate = Rate(self.per_minute, self.burst) if self.per_minute and self.burst else None
        return Plan(name, rate, self.images)


DEFAULT: Final = (
    '{"free": {"per_minute": 60, "burst": 20, "images": 1000},'
    ' "pro": {"per_minute": 600, "burst": 100, "images": 100000},'
    ' "business": {"per_minute": 3000, "burst": 500, "images": 1000000}, "unlimited": null}'
)


# Of an account's sessions, whatever its plan: looking at the dashboard costs an application no request.
DASHBOARD: Final = Plan("dashboard", Rate(per_minute=600, burst=200))


class Plans:
    """The table of plans."""

    def __init__(self, plans: Mapping[str, Plan]) -> None:
        self._plans = plans
        self._strictest = min(plans.values(), key=_strictness)

    @classmethod
    def parse(cls, text: str) -> "Plans":
        """`text`: JSON, names to limits or null, which is none. Raises ValueError that names the setting."""
        try:
            rows = msgspec.json.decode(text, type=Annotated[dict[Name, _Row | None], Meta(min_length=1)])
        except msgspec.DecodeError as error:
            raise ValueError(f"PLANS: {error}") from error
        return cls({name: (row or _Row()).plan(name) for name, row in rows.items()})

    def names(self) -> list[str]:
        return list(self._plans)

    def known(self, name: str) -> bool:
        return name in self._plans

    def get(self, name: str) -> Plan:
        """The plan, or the strictest where an account has one that is no longer configured."""
        return self._plans.get(name, self._strictest)


def _strictness(plan: Plan) -> tuple[float, float]:
    """Tokens a minute, and images where those are the same."""
    unlimited = float("inf")
    return plan.rate.per_minute if plan.rate else unlimited, plan.images or unlimited
