"""What the account did, by day."""

import asyncio
import re
from collections import Counter
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from libs.errors import INVALID_PARAMETER, ApiError
from libs.usage import REFUSED
from services.auth.routes.answers import answer
from services.auth.routes.state import State

DEFAULT_DAYS: Final = 30
MAX_DAYS: Final = 366
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
NAMES: Final = ("uploads", "images", "bytes", "deleted", "calls")


async def show(request: Request[State]) -> Response:
    """GET /v1/usage"""
    account_id = request.state["signer"].caller(request).account_id
    first, last = _range(request)
    ours, theirs = await asyncio.gather(
        request.state["usage"].days(account_id, first, last),
        request.state["ingest"].usage(account_id, first, last),
    )
    days, total = [], Counter[str]()
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        counts = Counter(ours.get(day, {})) + Counter(theirs.get(day, {}))
        days.append({"date": day.isoformat()} | _describe(counts))
        total += counts
    return answer(
        {"from": first.isoformat(), "to": last.isoformat(), "days": days, "total": _describe(total)}
    )


def _describe(counts: Counter[str]) -> dict[str, Any]:
    codes = sorted(name for name in counts if name.startswith(REFUSED))
    refused = {name.removeprefix(REFUSED): counts[name] for name in codes}
    return {**{name: counts[name] for name in NAMES}, "refused": refused}


def _range(request: Request[State]) -> tuple[date, date]:
    """The days from `from` to `to`, both included; the last 30 where neither is sent."""
    last = _day(request, "to") or datetime.now(UTC).date()
    first = _day(request, "from")
    if first is None:
        first = date.fromordinal(max(1, last.toordinal() - DEFAULT_DAYS + 1))
    if not 0 <= (last - first).days < MAX_DAYS:
        raise ApiError(INVALID_PARAMETER, f"from must not be after to, nor more than {MAX_DAYS} days in all")
    return first, last


def _day(request: Request[State], name: str) -> date | None:
    text = request.query_params.get(name)
    if not text:
        return None
    with suppress(ValueError):
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    raise ApiError(INVALID_PARAMETER, f"{name} must be a day such as 2026-01-31")
