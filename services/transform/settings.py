"""What an operator can set for transform."""

from typing import Annotated

from msgspec import Meta

from libs.objects import ObjectSettings

Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]


class Settings(ObjectSettings, frozen=True, kw_only=True, rename="upper"):
    """`*_budget_*`: seconds of rendering that one picture may cost, at once and in each second after."""

    log_level: str = "INFO"
    render_threads: Count = 2
    render_queue: Count = 256
    render_deadline_seconds: Positive = 10
    picture_budget_seconds: Positive = 20
    picture_budget_refill: Positive = 0.25
    masters_bytes: Count = 64 * 1024 * 1024
    masters_seconds: Positive = 30
    recent_bytes: Count = 16 * 1024 * 1024
    recent_seconds: Positive = 3
