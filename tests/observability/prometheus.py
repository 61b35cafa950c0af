"""A real Prometheus with deploy/observability's configuration, in which a minute takes two seconds."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import yaml

from deploy.local.programs import CHECKOUT
from tests.observability.bridge import bridged
from tests.stack import Stack, free_port, wait_for

CONFIGURATION: Final = CHECKOUT / "deploy" / "observability"
MINUTE_SECONDS: Final = 2
SCRAPE: Final = "500ms"


class Prometheus:
    """The running server."""

    def __init__(self, port: int) -> None:
        self._http = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)

    def ready(self) -> bool:
        try:
            return self._http.get("/-/ready").status_code == 200
        except httpx2.TransportError:
            return False

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each series now."""
        answer = self._http.get("/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", (expression, answer)
        return [(each["metric"], float(each["value"][1])) for each in answer["data"]["result"]]

    def alerts(self) -> set[str]:
        """The names of those that fire."""
        found = self._http.get("/api/v1/alerts").json()["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in found if alert["state"] == "firing"}

    def targets(self) -> dict[str, list[str]]:
        """The health of the targets of each job."""
        jobs: dict[str, list[str]] = {}
        for target in self._http.get("/api/v1/targets").json()["data"]["activeTargets"]:
            jobs.setdefault(target["labels"]["job"], []).append(target["health"])
        return jobs

    def names(self) -> set[str]:
        """Of all metrics that any target has told."""
        names: set[str] = set(self._http.get("/api/v1/label/__name__/values").json()["data"])
        return names

    def close(self) -> None:
        self._http.close()


def hasten(rules: str) -> str:
    """The same rules where a minute takes MINUTE_SECONDS."""
    rules = re.sub(r"\b(\d+)m\b", lambda found: f"{int(found[1]) * MINUTE_SECONDS}s", rules)
    return rules.replace("* 60", f"* {MINUTE_SECONDS}")


def configuration(ports: Mapping[str, Sequence[int]]) -> str:
    """prometheus.yml with the processes of this machine in place of names that DNS would know."""
    config: dict[str, Any] = yaml.safe_load((CONFIGURATION / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": SCRAPE, "scrape_timeout": SCRAPE, "evaluation_interval": SCRAPE}
    assert {job["job_name"] for job in config["scrape_configs"]} == set(ports)
    for job in config["scrape_configs"]:
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": [f"127.0.0.1:{port}" for port in ports[job["job_name"]]]}]
    return yaml.safe_dump(config)


@contextmanager
def watching(stack: Stack, folder: Path) -> Iterator[Prometheus]:
    """A Prometheus that scrapes every process of the stack, and a traffic beside it."""
    services = ("auth", "ingest", "transform")
    names = [(service, name) for service in services for name in stack.names(service)]
    paths = [stack.state.run / f"{name}.sock" for _, name in names]
    with ExitStack() as exits:
        *ports, control = exits.enter_context(bridged([*paths, stack.state.run / "control.sock"]))
        traffic = exits.enter_context(running_traffic(stack, folder))
        jobs: dict[str, list[int]] = {"nginx": [control], "traffic": [traffic]}
        for (service, _), port in zip(names, ports, strict=True):
            jobs.setdefault(service, []).append(port)
        (folder / "prometheus.yml").write_text(configuration(jobs))
        (folder / "alerts.yml").write_text(hasten((CONFIGURATION / "alerts.yml").read_text()))
        port = free_port()
        options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
        options += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn", "--query.lookback-delta=5s"]
        exits.enter_context(running(["prometheus", *options], folder / "prometheus.log"))
        prometheus = Prometheus(port)
        exits.callback(prometheus.close)
        wait_for(prometheus.ready)
        yield prometheus


@contextmanager
def running_traffic(stack: Stack, folder: Path) -> Iterator[int]:
    """The port of a traffic that reads the stack's access log."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", "services.traffic.app:main", "--no-access-log"]
    environment = {**stack.environment, "ACCESS_LOGS": str(stack.state.log("nginx-access"))}
    with running([*command, "--port", str(port)], folder / "traffic.log", environment):
        yield port


@contextmanager
def running(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    with log.open("ab") as file:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)
