"""What an operator can set for traffic."""

from typing import Annotated, Literal

from msgspec import Meta, Struct


class Settings(Struct, frozen=True, kw_only=True, rename="upper"):
    """`access_logs`: a pattern of the nodes' access logs, such as /var/log/nginx/*.log."""

    access_logs: Annotated[str, Meta(min_length=1)]
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
