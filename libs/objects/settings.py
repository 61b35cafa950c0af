"""Where the objects are and how long a call may take."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from libs.settings import Secret

Seconds = Annotated[float, Meta(gt=0)]


class ObjectSettings(Struct, frozen=True, kw_only=True, rename="upper"):
    """What every service that needs the store inherits.

    `objects_url`: `file:///path` or `s3://bucket`. The S3_* fields count for a bucket only; without keys
    botocore looks for them where it always does (environment, profile, the machine's role), without an
    endpoint it is AWS. The credentials need s3:ListBucket too: without it AWS answers 403, not 404, for
    an object that is missing.
    """

    objects_url: Annotated[str, Meta(pattern=r"^(file:///.+|s3://[a-z0-9][a-z0-9.-]+/?)$")]
    objects_timeout_seconds: Seconds = 4  # a whole call, its retry included
    s3_endpoint_url: str | None = None
    s3_region: str = "us-east-1"
    s3_access_key_id: str | None = None
    s3_secret_access_key: Secret | None = None
    # A named endpoint is mostly a server without a wildcard DNS name, AWS itself prefers the other one.
    s3_addressing_style: Literal["auto", "path", "virtual"] = "auto"
    s3_connections: Annotated[int, Meta(ge=1)] = 32  # open at a time, kept alive
    s3_connect_timeout_seconds: Seconds = 1
    s3_read_timeout_seconds: Seconds = 3  # between two pieces of an answer
