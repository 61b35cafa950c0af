"""The profile `observability`: Prometheus finds every container by its service's name."""

import json
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

import httpx2
import pytest

from tests.containers.images import provide_images
from tests.containers.stack import ComposeStack
from tests.e2e import calls
from tests.stack import wait_for

PROFILE: Final = ("--profile", "observability")
WATCHERS: Final = ("traffic", "prometheus")  # no stand-in for Grafana: Debian has none


class Watched:
    """What the stack's Prometheus knows."""

    def __init__(self, stack: ComposeStack) -> None:
        self._stack = stack

    def query(self, expression: str) -> dict[tuple[str, ...], float]:
        """Each series' value by the values of its labels."""
        url = f"http://127.0.0.1:9090/api/v1/query?query={quote(expression)}"
        answer = json.loads(self._stack.exec("prometheus", "wget", "-q", "-O", "-", url))
        return {tuple(each["metric"].values()): float(each["value"][1]) for each in answer["data"]["result"]}


@pytest.fixture(scope="module")
def watched(stack: ComposeStack) -> Iterator[Watched]:
    provide_images("prometheus")
    stack.compose(*PROFILE, "build", "-q", "traffic", seconds=600)
    stack.compose(*PROFILE, "up", "-d", "--wait", "--no-recreate", *WATCHERS)
    yield Watched(stack)
    stack.compose(*PROFILE, "rm", "--stop", "--force", *WATCHERS)


def test_every_container_is_scraped_and_what_nginx_answers_is_counted(
    watched: Watched, api: httpx2.Client, picture: bytes
) -> None:
    jobs = ("auth", "ingest", "transform", "nginx", "traffic")
    wait_for(lambda: watched.query("sum by (job) (up)") == {(job,): 1.0 for job in jobs}, 60)
    image_id = calls.upload(api, picture)["image_id"]
    for _ in range(3):
        assert api.get(f"/{image_id}?w=77").status_code == 200
    # Scraped every 15 s.
    counted = 'sum by (cache) (edge_requests_total{route="/{image_id}", status="200"})'
    wait_for(lambda: watched.query(counted) == {("MISS",): 1.0, ("HIT",): 2.0}, 60)
    uploads = 'sum by (route) (http_requests_total{job="ingest", route="/v1/upload", status="200"})'
    assert watched.query(f"{uploads} > 0")
    assert set(watched.query("min by (dependency) (dependency_up)").values()) == {1.0}
