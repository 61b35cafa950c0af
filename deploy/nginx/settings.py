"""What an operator can set for nginx, wherever it runs."""

from ipaddress import ip_network
from typing import Annotated

from msgspec import Meta, Struct

Base = Annotated[str, Meta(pattern=r"^https?://[A-Za-z0-9.:\[\]-]+$")]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9.*-]+$")]
Header = Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]+$")]
Size = Annotated[str, Meta(pattern=r"^[0-9]+[kmg]?$")]
Time = Annotated[str, Meta(pattern=r"^[0-9]+(ms|s|m|h)$")]
HeaderValue = Annotated[str, Meta(pattern=r'^[^"$\\\r\n]+$')]


class EdgeSettings(Struct, frozen=True, kw_only=True, rename="upper"):
    """Sizes and times as nginx writes them.

    `dashboard_server_name`: every name but the CDN's serves the dashboard too.
    `trusted_proxies`: networks of load balancers that say who the client is, separated by commas.
    `client_timeout`: between two pieces of a request that a client sends, or of an answer that it reads.
    `ingest_timeout`, `transform_timeout`: how long an answer of theirs may take.
    """

    dashboard_server_name: Name = "dashboard.localhost"
    trusted_proxies: str = ""
    client_address_header: Header = "X-Forwarded-For"
    worker_processes: Annotated[str, Meta(pattern="^(auto|[1-9][0-9]*)$")] = "auto"
    cache_size: Size = "1g"
    cache_min_free: Size = "200m"
    cache_control: HeaderValue = "public, max-age=86400, stale-while-revalidate=3600"
    keepalive_timeout: Time = "60s"
    client_timeout: Time = "30s"
    ingest_timeout: Time = "60s"
    transform_timeout: Time = "15s"

    def __post_init__(self) -> None:
        for proxy in self._proxies():
            try:
                ip_network(proxy)
            except ValueError as error:
                raise ValueError(f"TRUSTED_PROXIES: {error}") from error

    def placeholders(self) -> dict[str, str]:
        """For the templates."""
        own = {name.upper(): str(getattr(self, name)) for name in EdgeSettings.__struct_fields__}
        return {**own, "REAL_IP": self._real_ip()}

    def _proxies(self) -> list[str]:
        return [proxy.strip() for proxy in self.trusted_proxies.split(",") if proxy.strip()]

    def _real_ip(self) -> str:
        """The client's address as trusted proxies say it, the last that is not one of theirs."""
        proxies = [f"set_real_ip_from {proxy};" for proxy in self._proxies()]
        if not proxies:
            return ""
        return "\n".join([*proxies, f"real_ip_header {self.client_address_header};", "real_ip_recursive on;"])
