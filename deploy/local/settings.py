"""What `make run` can be told; everything else in the environment goes on to the services as it is."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=1, le=32)]
Base = Annotated[str, Meta(pattern=r"^https?://[A-Za-z0-9.:\[\]-]+$")]  # goes into nginx's configuration
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9.*-]+$")]


class Settings(Struct, frozen=True, kw_only=True, rename="upper"):
    port: Annotated[int, Meta(ge=1, le=65535)] = 8080
    state_dir: str = "var"
    auth_processes: Count = 2
    ingest_processes: Count = 2
    transform_processes: Count = 2
    public_api_url: Base | None = None
    public_cdn_url: Base | None = None
    dashboard_server_name: Name = "dashboard.localhost"  # every name but the CDN's serves it too
    objects_url: str | None = None
    edges: str | None = None  # further nginx nodes, as ingest's EDGES names them; ours is always told
    worker_processes: str = "auto"
    cache_size: str = "1g"
    cache_min_free: str = "200m"
    cache_control: str = "public, max-age=86400, stale-while-revalidate=3600"
    signup: Literal["open", "invite", "closed"] = "open"
    trusted_proxies: str = ""  # networks of load balancers that say who the client is, separated by commas
    client_address_header: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]+$")] = "X-Forwarded-For"
    start_deadline_seconds: Annotated[float, Meta(gt=0)] = 90

    @property
    def base_url(self) -> str:
        """Where a program on this machine reaches the stack."""
        return f"http://localhost:{self.port}"

    @property
    def api_url(self) -> str:
        """The base of the API's URLs as clients see it."""
        return self.public_api_url or self.base_url

    @property
    def cdn_url(self) -> str:
        """The base of the pictures' URLs."""
        return self.public_cdn_url or self.base_url
