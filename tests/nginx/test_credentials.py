"""What nginx tells of a caller: what proves it, to the question alone; its address, to auth alone."""

import pytest

from deploy.local.settings import Settings
from tests.nginx.conftest import Edge, running_edge
from tests.nginx.recorder import Asked

PROOFS = {"Authorization": "Bearer a", "Cookie": "__Host-session=b; c=d", "X-CSRF-Token": "e"}
LOWER = {name.lower(): value for name, value in PROOFS.items()}


def last(edge: Edge, service: str, about: str) -> Asked:
    return edge.upstreams[service].asked(about)[-1]


@pytest.mark.parametrize(
    ("method", "path", "service"),
    [
        ("GET", "/v1/images", "ingest"),
        ("GET", "/v1/account", "auth"),
        ("GET", "/v1/keys", "auth"),
        ("GET", "/v1/session", "auth"),
        ("GET", "/v1/sessions", "auth"),
    ],
)
def test_what_proves_a_caller_ends_at_the_question(edge: Edge, method: str, path: str, service: str) -> None:
    edge.get(path, method, **PROOFS)
    asked = last(edge, "auth", "/authorize").headers
    assert {name: asked[name] for name in LOWER} == LOWER
    assert (asked["x-original-method"], asked["x-original-path"]) == (method, path)
    told = last(edge, service, path).headers
    assert told["x-identity"] == "signed"
    assert not LOWER.keys() & told.keys()


@pytest.mark.parametrize("path", ["/v1/accounts", "/v1/session"])
def test_an_open_door_is_not_asked_about_and_believes_no_identity(edge: Edge, path: str) -> None:
    before = len(edge.upstreams["auth"].asked("/authorize"))
    edge.get(path, "POST", **PROOFS, **{"X-Identity": "forged", "Content-Length": "0"})
    told = last(edge, "auth", path)
    assert told.method == "POST"
    assert len(edge.upstreams["auth"].asked("/authorize")) == before
    assert not (LOWER.keys() | {"x-identity"}) & told.headers.keys()


def test_a_client_does_not_choose_its_address(edge: Edge) -> None:
    forged = {"X-Client-Address": "192.0.2.1", "X-Forwarded-For": "192.0.2.2", "X-Real-IP": "192.0.2.3"}
    edge.get("/v1/accounts", "POST", **forged, **{"Content-Length": "0"})
    assert last(edge, "auth", "/v1/accounts").headers["x-client-address"] == "127.0.0.1"


def test_a_trusted_proxy_says_who_the_client_is() -> None:
    with running_edge(trusted_proxies="127.0.0.0/8, 198.51.100.0/24") as edge:
        for sent, seen in (
            ("192.0.2.2", "192.0.2.2"),
            ("192.0.2.9, 192.0.2.2, 198.51.100.7", "192.0.2.2"),  # the first is what the client made up
            ("2001:db8::1", "2001:db8::1"),
            ("nonsense", "127.0.0.1"),
        ):
            edge.get("/v1/accounts", "POST", **{"X-Forwarded-For": sent, "Content-Length": "0"})
            assert last(edge, "auth", "/v1/accounts").headers["x-client-address"] == seen


def test_a_proxy_may_say_it_in_a_header_of_its_own() -> None:
    settings = {"trusted_proxies": "127.0.0.1", "client_address_header": "CF-Connecting-IP"}
    with running_edge(**settings) as edge:
        forged = {"X-Forwarded-For": "192.0.2.2", "CF-Connecting-IP": "192.0.2.3"}
        edge.get("/v1/accounts", "POST", **forged, **{"Content-Length": "0"})
        assert last(edge, "auth", "/v1/accounts").headers["x-client-address"] == "192.0.2.3"


def test_a_proxy_that_is_no_network_stops_the_start() -> None:
    with pytest.raises(ValueError, match="TRUSTED_PROXIES"):
        Settings(trusted_proxies="10.0.0.0/8; include /etc/passwd")
