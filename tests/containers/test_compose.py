"""The stack of deploy/compose.yml as it comes up from nothing."""

import json
from typing import Any, Final

import httpx2
import pytest
import yaml

from deploy.nginx.node import NodeSettings
from services.auth import settings as auth
from services.ingest import settings as ingest
from services.transform import settings as transform
from tests.containers.images import COMPOSE, run, secret_names
from tests.containers.stack import SERVICES, STORES, ComposeStack
from tests.e2e import calls

EVERYTHING: Final = ("nginx", *SERVICES, *STORES)
OURS: Final = ("nginx", *SERVICES)


def test_it_comes_up_healthy(stack: ComposeStack) -> None:
    for service in EVERYTHING:
        (container,) = stack.containers(service)
        assert stack.is_healthy(container)


def test_a_picture_is_uploaded_served_and_deleted(
    api: httpx2.Client, cdn: httpx2.Client, picture: bytes
) -> None:
    made = calls.upload(api, picture)
    image_id = made["image_id"]
    assert cdn.get(made["thumbnail_url"]).status_code == 200
    first, second = (cdn.get(f"/{image_id}?w=120&f=webp") for _ in range(2))
    assert (first.headers["x-cache"], second.headers["x-cache"]) == ("MISS", "HIT")
    assert first.headers["content-type"] == "image/webp"
    assert api.delete(f"/v1/images/{image_id}").status_code == 200
    assert calls.refusal(cdn.get(f"/{image_id}?w=120&f=webp")) == (404, "IMAGE_NOT_FOUND")


def test_only_nginx_publishes_a_port(stack: ComposeStack) -> None:
    found = stack.inspect(stack.containers())
    published = {
        container["Config"]["Labels"]["com.docker.compose.service"]: container["NetworkSettings"]["Ports"]
        for container in found
        if any(container["NetworkSettings"]["Ports"].values())
    }
    assert list(published) == ["nginx"]
    assert list(published["nginx"]) == ["8080/tcp"]


@pytest.mark.parametrize("service", EVERYTHING)
def test_no_container_may_do_more_than_it_needs(stack: ComposeStack, service: str) -> None:
    (container,) = stack.inspect(stack.containers(service))
    host = container["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert not host["Privileged"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] > 0
    status = stack.exec(service, "sh", "-c", "cat /proc/1/status /proc/self/status")
    fields = [line.split() for line in status.splitlines()]
    assert all("0" not in ids for name, *ids in fields if name in {"Uid:", "Gid:"})
    assert {value for name, value, *_ in fields if name in {"CapPrm:", "CapEff:", "CapBnd:"}} == {"0" * 16}
    assert {value for name, value, *_ in fields if name == "NoNewPrivs:"} == {"1"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reaches_nothing_outside(stack: ComposeStack, service: str) -> None:
    """Its networks have no way out, and none of the stores is on nginx's."""
    (container,) = stack.inspect(stack.containers(service))
    names = container["NetworkSettings"]["Networks"]
    assert all(json.loads(run("docker", "network", "inspect", name))[0]["Internal"] for name in names)


def test_the_stores_are_out_of_nginx_s_reach(stack: ComposeStack) -> None:
    for store in STORES:
        with pytest.raises(Exception, match="gaierror"):
            stack.exec("nginx", "python", "-c", f"import socket; socket.getaddrinfo('{store}', 1)")


@pytest.mark.parametrize("service", OURS)
def test_an_image_holds_no_secret(stack: ComposeStack, service: str) -> None:
    (container,) = stack.inspect(stack.containers(service))
    image = container["Config"]["Image"]
    history = run("docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", image)
    config: dict[str, Any] = json.loads(run("docker", "image", "inspect", image))[0]
    told = {variable.partition("=")[0] for variable in config["Config"]["Env"]}
    for name in secret_names():
        assert name not in told
        assert stack.environment[name] not in history
        assert f"{name}=" not in history


@pytest.mark.parametrize("name", secret_names())
def test_there_is_no_secret_by_default(stack: ComposeStack, name: str) -> None:
    environment = {key: value for key, value in stack.environment.items() if key != name}
    command = [word for word in stack.command if word not in {"--env-file", str(stack._file)}]
    with pytest.raises(
        Exception, match=f"required variable {name} is missing a value: run sh deploy/secrets.sh"
    ):
        run(*command, "config", "-q", environment={"PATH": "/usr/bin:/bin:/usr/local/bin"} | environment)


SETTINGS: Final = {
    "nginx": NodeSettings,
    "auth": auth.Settings,
    "ingest": ingest.Settings,
    "transform": transform.Settings,
}
# What only a test sets, or what follows from the image.
NOT_TOLD: Final = {
    "nginx": {name for name in NodeSettings.__struct_fields__ if name.endswith(("_dir", "_host", "listen"))}
    | {"service_port", "find_seconds", "probe_timeout_seconds"},
    "ingest": {"failpoints_dir", "spool_dir"},
}


@pytest.mark.parametrize("service", OURS)
def test_every_setting_can_be_set(service: str) -> None:
    """The compose file passes each by its own name, and no other."""
    told = set(yaml.safe_load(COMPOSE.read_text())["services"][service]["environment"])
    fields = set(SETTINGS[service].__struct_fields__) - NOT_TOLD.get(service, set())
    extra = {"DRAIN_NOTICE_SECONDS"} if service in SERVICES else set()
    assert told == {field.upper() for field in fields} | extra
