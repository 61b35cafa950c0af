"""The operator's view of a stack under load: no panel is empty, and no alert fires."""

import json
import math
import re
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest

from deploy.local.programs import CHECKOUT
from tests.faults.broken import Breakable
from tests.observability.load import under_load
from tests.observability.prometheus import Prometheus
from tests.observability.test_rules import FOLDER, RULES
from tests.stack import wait_for

ROUNDS: Final = 12
PANELS: Final[list[dict[str, Any]]] = json.loads(
    (FOLDER / "grafana" / "dashboards" / "user-photos.json").read_text()
)["panels"]
QUERIES: Final = [
    pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
    for panel in PANELS
    for target in panel.get("targets", [])
]


@pytest.fixture(scope="module")
def loaded(stack: Breakable, prometheus: Prometheus) -> Iterator[Prometheus]:
    """After a few rounds of everything, and while they go on."""
    with under_load(stack) as load:
        wait_for(lambda: load.rounds >= ROUNDS or load.failure is not None, 120)
        yield prometheus
    if load.failure:
        raise load.failure


def test_every_process_is_scraped(loaded: Prometheus) -> None:
    two, one = ["up", "up"], ["up"]
    expected = {"auth": two, "ingest": two, "transform": two, "nginx": one, "traffic": one}
    wait_for(lambda: loaded.targets() == expected)


@pytest.mark.parametrize("expression", QUERIES)
def test_a_panel_is_not_empty(loaded: Prometheus, expression: str) -> None:
    expression = expression.replace("$__rate_interval", "10s")
    deadline = time.monotonic() + 20
    while not any(math.isfinite(value) for _, value in loaded.query(expression)):
        assert time.monotonic() < deadline, f"nothing to show of {expression}"
        time.sleep(0.5)


def test_the_operators_view_is_written_down(loaded: Prometheus) -> None:
    """Every panel with what it shows now, as a table in build/."""
    lines = []
    for panel in PANELS:
        lines.append(f"## {panel['title']}" if panel["type"] == "row" else f"  {panel['title']}")
        for target in panel.get("targets", []):
            shown = loaded.query(target["expr"].replace("$__rate_interval", "10s"))
            lines += [f"    {legend(target, labels):40}{value:>14.4g}" for labels, value in shown]
    view = CHECKOUT / "build" / "operators-view.txt"
    view.write_text("\n".join(lines) + "\n")
    assert len(lines) > len(QUERIES)


def legend(target: dict[str, Any], labels: dict[str, str]) -> str:
    """As Grafana fills it in."""
    return re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), target["legendFormat"])


def test_nothing_is_counted_by_what_a_client_made_up(loaded: Prometheus) -> None:
    for name in ("edge_requests_total", "http_requests_total"):
        routes = {labels["route"] for labels, _ in loaded.query(name)}
        assert routes == {route for route in routes if "img_" not in route and "nobody" not in route}


@pytest.mark.faults  # a minute is two seconds here: a busy machine makes minutes of seconds
def test_no_alert_fires_while_all_is_well(loaded: Prometheus) -> None:
    assert loaded.alerts() == set()


def test_every_metric_of_an_alert_exists(loaded: Prometheus) -> None:
    known = loaded.names()
    for rule in RULES:
        found = [name for name in known if name in rule["expr"]]
        assert found, rule["alert"]
