"""deploy/observability, by Prometheus' own tools."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from deploy.local.programs import CHECKOUT

FOLDER: Final = CHECKOUT / "deploy" / "observability"
RULES: Final[list[dict[str, Any]]] = [
    rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts-test.yml"),
    ],
    ids=" ".join,
)
def test_prometheus_own_tool_is_content(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_fired_by_a_test_of_the_rules() -> None:
    tests = yaml.safe_load((FOLDER / "alerts-test.yml").read_text())["tests"]
    fired = {test["name"].partition(",")[0] for test in tests} - {"all is well"}
    assert fired == {rule["alert"] for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"].keys() == {"summary", "runbook"}
    assert rule["annotations"]["runbook"].endswith(".")


def test_the_operators_manual_has_every_alert() -> None:
    manual = (CHECKOUT / "docs" / "observability.md").read_text()
    assert [rule["alert"] for rule in RULES if f"`{rule['alert']}`" not in manual] == []


def test_every_job_is_a_service_of_the_compose_file_on_a_network_of_prometheus() -> None:
    services = yaml.safe_load((CHECKOUT / "deploy" / "compose.yml").read_text())["services"]
    for job in yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]:
        (found,) = job["dns_sd_configs"]
        assert found["names"] == [job["job_name"]]
        assert set(services[job["job_name"]]["networks"]) & set(services["prometheus"]["networks"])


def test_what_the_dashboard_is_provisioned_with_fits_together() -> None:
    sources = yaml.safe_load((FOLDER / "grafana/provisioning/datasources/prometheus.yml").read_text())
    dashboard = (FOLDER / "grafana/dashboards/user-photos.json").read_text()
    named = set(re.findall(r'"uid": "(\w+)"', json.dumps(json.loads(dashboard)["panels"])))
    assert named == {source["uid"] for source in sources["datasources"]}


def test_the_dashboards_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(Path(FOLDER / "grafana/dashboards/user-photos.json").read_text())["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
