"""The log's route is the template of the path, and no client can make up another one."""

import json
import time
from typing import Final

import pytest

from services.auth.routes import ROUTES as AUTH
from services.ingest.routes import ROUTES as INGEST
from services.transform.routes import ROUTES as TRANSFORM
from tests.nginx.conftest import Edge

LOGGED_SECONDS: Final = 10
TEMPLATES: Final = sorted({route.path_format for route in [*AUTH, *INGEST, *TRANSFORM]} - {"/authorize"})
VALUES: Final = {"image_id": "img_0123456789abcdef", "user_id": "one", "key_id": "two", "session_id": "three"}


def logged_route(edge: Edge, target: str, request_id: str) -> str:
    edge.get(target, **{"X-Request-Id": request_id})
    deadline = time.monotonic() + LOGGED_SECONDS
    while True:
        for line in (edge.state.root / "log" / "nginx-access.log").read_bytes().splitlines():
            found = json.loads(line.decode(errors="replace"))
            if found["request_id"] == request_id:
                return str(found["route"])
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_route_of_a_service_is_known_by_its_template(edge: Edge, template: str) -> None:
    request_id = f"known{TEMPLATES.index(template)}"
    assert logged_route(edge, f"{template.format(**VALUES)}?a=b", request_id) == template


@pytest.mark.parametrize(
    ("target", "route"),
    [
        ("/img_0123456789abcdef.webp?w=5", "/{image_id}"),
        ("/img_nothing", "/{image_id}"),
        ("/v1/users/a%2Fb", "/v1/users/{user_id}"),
        ("/v1/images/", "other"),
        ("/v1/nothing", "other"),
        ("/img_a/b", "other"),
        ("/v1/keys/two/rotate/again", "other"),
    ],
)
def test_a_path_that_no_service_has_is_other(edge: Edge, target: str, route: str) -> None:
    assert logged_route(edge, target, f"id{abs(hash(target))}") == route
