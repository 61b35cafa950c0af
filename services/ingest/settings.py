"""What an operator can set for ingest."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from libs.objects import ObjectSettings
from libs.settings import Secret

Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
Url = Annotated[str, Meta(pattern=r"^https?://[^/?#]+$")]


class DeletionSettings(ObjectSettings, frozen=True, kw_only=True, rename="upper"):
    """What deleting needs. `edges`: the control address of every nginx, separated by commas.

    An edge is `unix:/path` or `http://host:port`; each address of the host is a node.
    """

    database_url: Annotated[str, Meta(min_length=1)]
    database_timeout_seconds: Positive = 3
    edges: Annotated[str, Meta(pattern=r"^(unix:/[^,]+|http://[^,/]+)(,(unix:/[^,]+|http://[^,/]+))*$")]
    edge_timeout_seconds: Positive = 2
    control_secret: Secret


class Settings(DeletionSettings, frozen=True, kw_only=True, rename="upper"):
    """`box_*`: the limits of one child process that decodes an upload."""

    identity_secrets: Secret
    spool_dir: Path
    public_api_url: Url
    public_cdn_url: Url
    log_level: str = "INFO"
    janitor_seconds: Positive = 5
    pending_seconds: Positive = 300  # longer than nginx waits for an upload
    upload_seconds: Positive = 55  # less than nginx waits, or it gives the upload to another process as well
    usage_seconds: Annotated[float, Meta(gt=0, le=60)] = 15  # a crash loses what was counted since
    failpoints_dir: Path | None = None  # tests only
    box_workers: Count = 2
    box_queue: Count = 32
    box_deadline_seconds: Positive = 30
    box_cpu_seconds: Count = 20
    box_memory_bytes: Annotated[int, Meta(ge=1_000_000_000)] = 1_750_000_000
