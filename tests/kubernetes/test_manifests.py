"""deploy/kubernetes: what the API server would take, and the same settings as deploy/compose.yml."""

import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

from deploy.local.programs import CHECKOUT
from services.auth import settings as auth
from services.ingest import settings as ingest
from services.transform import settings as transform

FOLDER: Final = CHECKOUT / "deploy" / "kubernetes"
VERSIONS: Final = ("1.32", "1.37")
IMAGES: Final = ("nginx", "auth", "ingest", "transform")
SIDECAR: Final = "traffic"  # of nginx
# In compose these stores are containers; here they are somebody's service.
ELSEWHERE: Final = {"S3_ENDPOINT_URL"}
SETTINGS: Final = (auth.Settings, ingest.Settings, transform.Settings)
UNITS: Final = {"m": 1 << 20, "g": 1 << 30, "Mi": 1 << 20, "Gi": 1 << 30}


def objects(file: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(file.read_text()))


RESOURCES: Final = [
    (file, each)
    for file in sorted(FOLDER.glob("*.yaml"))
    if file.name != "kustomization.yaml"
    for each in objects(file)
]
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((CHECKOUT / "deploy" / "compose.yml").read_text())["services"]


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for _, each in RESOURCES if each["kind"] == kind}


def pod(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = of_kind("Deployment")[name]["spec"]["template"]["spec"]
    return spec


def container(name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in pod(name)["containers"] if each["name"] == name)
    return found


def size(text: str) -> int:
    """Bytes of 512Mi, of 1g, and of ${NAME:-1g}."""
    text = text.removesuffix("}").rpartition(":-")[2]
    unit = next(unit for unit in ("Mi", "Gi", "m", "g") if text.endswith(unit))
    return int(text.removesuffix(unit)) * UNITS[unit]


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "resource", [pytest.param(each, id=f"{each['kind']} {each['metadata']['name']}") for _, each in RESOURCES]
)
def test_a_manifest_is_what_its_schema_says(resource: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(resource, version, strict=True)


def test_kustomize_is_told_of_every_file_but_the_secrets() -> None:
    (kustomization,) = objects(FOLDER / "kustomization.yaml")
    files = {file.name for file, _ in RESOURCES} - {"secrets.example.yaml"}
    assert set(kustomization["resources"]) == files
    assert {image["name"] for image in kustomization["images"]} == {
        f"user-photos/{name}" for name in (*IMAGES, SIDECAR)
    }


@pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="kubectl is not here: nothing puts the files together"
)
def test_kustomize_puts_the_files_together() -> None:
    done = subprocess.run(["kubectl", "kustomize", FOLDER], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = list(yaml.safe_load_all(done.stdout))
    assert len(made) == len([each for file, each in RESOURCES if file.name != "secrets.example.yaml"])
    for resource in made:
        kubernetes_validate.validate(resource, VERSIONS[-1], strict=True)


def test_the_example_of_the_secrets_holds_none_and_has_all_that_are_asked_for() -> None:
    example = of_kind("Secret")["user-photos"]["stringData"]
    assert set(example.values()) == {""}
    asked = {
        variable["valueFrom"]["secretKeyRef"]["key"]
        for name in IMAGES
        for variable in container(name)["env"]
        if "valueFrom" in variable
    }
    assert asked == set(example)


@pytest.mark.parametrize("name", IMAGES)
def test_a_container_has_no_right_that_it_does_not_need(name: str) -> None:
    context = pod(name)["securityContext"]
    assert (context["runAsNonRoot"], context["runAsUser"]) == (True, 10001)
    assert pod(name)["automountServiceAccountToken"] is False
    for each in pod(name)["containers"]:
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@pytest.mark.parametrize("name", IMAGES)
def test_a_service_has_the_settings_that_compose_gives_it(name: str) -> None:
    settings = of_kind("ConfigMap")["settings"]["data"]
    here = {variable["name"] for variable in container(name)["env"]} | set(settings)
    environment: dict[str, str | None] = COMPOSE[name]["environment"]
    assert {variable for variable, value in environment.items() if value} - ELSEWHERE <= here
    # And none that no service knows of.
    known = {variable for each in IMAGES for variable in COMPOSE[each]["environment"]}
    known |= {field.upper() for settings in SETTINGS for field in settings.__struct_fields__}
    assert here <= known


@pytest.mark.parametrize("name", IMAGES)
def test_what_compose_keeps_from_a_service_is_kept_from_it_here(name: str) -> None:
    secrets = {variable["name"] for variable in container(name)["env"] if "valueFrom" in variable}
    assert secrets <= set(COMPOSE[name]["environment"])


@pytest.mark.parametrize("name", IMAGES)
def test_a_service_has_the_limits_that_it_has_in_compose(name: str) -> None:
    limit = container(name)["resources"]["limits"]["memory"]
    assert size(limit) == size(COMPOSE[name]["mem_limit"])
    assert pod(name)["terminationGracePeriodSeconds"] == seconds(COMPOSE[name]["stop_grace_period"])


@pytest.mark.parametrize("name", IMAGES)
def test_a_service_writes_where_it_writes_in_compose(name: str) -> None:
    here = {mount["mountPath"] for mount in container(name)["volumeMounts"]}
    there = {
        part
        for mount in [*COMPOSE[name].get("volumes", []), *COMPOSE[name]["tmpfs"]]
        for part in mount.split(":")[:2]
        if part.startswith("/") and "=" not in part
    }
    assert here == there
    volumes = {volume["name"] for volume in pod(name)["volumes"]}
    assert {mount["name"] for each in pod(name)["containers"] for mount in each["volumeMounts"]} == volumes


def test_the_counters_of_each_node_stand_beside_it() -> None:
    (sidecar,) = (each for each in pod("nginx")["containers"] if each["name"] == SIDECAR)
    compose = COMPOSE[SIDECAR]
    given = {each["name"]: each["value"] for each in sidecar["env"]}
    assert given.items() <= compose["environment"].items()
    assert size(sidecar["resources"]["limits"]["memory"]) == size(compose["mem_limit"])
    folder = next(each for each in sidecar["volumeMounts"] if each["name"] == "access-logs")
    assert compose["volumes"] == [f"access-logs:{folder['mountPath']}:ro"]


def test_auth_is_told_how_many_there_are() -> None:
    replicas = of_kind("Deployment")["auth"]["spec"]["replicas"]
    assert of_kind("ConfigMap")["settings"]["data"]["AUTH_PROCESSES"] == str(replicas)


def test_every_service_is_found_by_the_name_that_nginx_looks_for() -> None:
    for name in ("auth", "ingest", "transform", "nginx-nodes"):
        service = of_kind("Service")[name]["spec"]
        assert (service["clusterIP"], service["publishNotReadyAddresses"]) == ("None", True)
    control = of_kind("Service")["nginx-nodes"]["spec"]["ports"][0]["port"]
    assert of_kind("ConfigMap")["settings"]["data"]["EDGES"] == f"http://nginx-nodes:{control}"


def test_what_scales_is_scaled_by_what_it_uses_up() -> None:
    scaled = of_kind("HorizontalPodAutoscaler")
    assert set(scaled) == {"ingest", "transform"}
    for name, scaler in scaled.items():
        assert scaler["spec"]["scaleTargetRef"]["name"] == name
        assert "replicas" not in of_kind("Deployment")[name]["spec"]
        assert container(name)["resources"]["requests"]["cpu"]
