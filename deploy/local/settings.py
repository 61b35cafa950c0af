"""What `make run` can be told; everything else in the environment goes on to the services as it is."""

from typing import Annotated, Literal

from msgspec import Meta

from deploy.nginx.settings import Base, EdgeSettings

Count = Annotated[int, Meta(ge=1, le=32)]


class Settings(EdgeSettings, frozen=True, kw_only=True, rename="upper"):
    port: Annotated[int, Meta(ge=1, le=65535)] = 8080
    state_dir: str = "var"
    auth_processes: Count = 2
    ingest_processes: Count = 2
    transform_processes: Count = 2
    public_api_url: Base | None = None
    public_cdn_url: Base | None = None
    objects_url: str | None = None
    edges: str | None = None  # further nginx nodes, as ingest's EDGES names them; ours is always told
    signup: Literal["open", "invite", "closed"] = "open"
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
