"""The images that the tests run: ours, built here, and those that users pull."""

import json
import os
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).parents[2]
COMPOSE: Final = CHECKOUT / "deploy" / "compose.yml"
STAND_INS: Final = Path(__file__).with_name("images.yml")
LABEL: Final = "photos.user.stand-in"
BUILD_SECONDS: Final = 600


class ContainerError(Exception):
    """A command of the engine's failed; its message is what the command printed."""


def run(*command: str, seconds: float = 60, environment: Mapping[str, str] | None = None) -> str:
    """What the command prints."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=seconds,
        stdin=subprocess.DEVNULL,
        env=environment,
        check=False,
    )
    if done.returncode:
        raise ContainerError(f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout.strip()


@cache
def engine_answers() -> bool:
    try:
        return bool(run("docker", "compose", "version") and run("docker", "info", "-f", "{{.ServerVersion}}"))
    except (OSError, ContainerError, subprocess.TimeoutExpired):
        return False


@cache
def build_images() -> None:
    """Ours, from this checkout."""
    secrets = dict.fromkeys(secret_names(), "x")
    _compose(COMPOSE, "build", "-q", environment=os.environ | secrets)


@cache
def provide_images(*services: str) -> None:
    """Those that users pull, by their service in the compose file; where they cannot be, stand-ins of ours.

    A stand-in has the same name, and gives way as soon as the real one can be pulled.
    """
    images = json.loads(_compose(STAND_INS, "config", "--format", "json"))["services"]
    for service in services:
        name = images[service]["image"]
        if _is_pulled(name):
            continue
        try:
            run("docker", "pull", "-q", name, seconds=BUILD_SECONDS)
        except ContainerError:
            _compose(STAND_INS, "build", "-q", service)


def secret_names() -> list[str]:
    """What deploy/secrets.sh makes."""
    lines = (COMPOSE.parent / "secrets.sh").read_text().splitlines()
    return [line.partition("=")[0] for line in lines if "=$(random" in line]


def image_name(service: str) -> str:
    """Of those that users pull."""
    name: str = json.loads(_compose(STAND_INS, "config", "--format", "json"))["services"][service]["image"]
    return name


def _is_pulled(name: str) -> bool:
    try:
        return run("docker", "image", "inspect", "-f", f'{{{{index .Config.Labels "{LABEL}"}}}}', name) == ""
    except ContainerError:
        return False


def _compose(file: Path, *words: str, environment: Mapping[str, str] | None = None) -> str:
    return run("docker", "compose", "-f", str(file), *words, seconds=BUILD_SECONDS, environment=environment)
