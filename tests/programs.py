"""Interpreters and libraries that tests run clients with, each found or named as missing."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final, NoReturn

import pytest

CLIENTS: Final = Path(__file__).parent / "clients"
NODE_MODULES: Final = CLIENTS / "node_modules"


def program(name: str) -> str:
    """Its path."""
    path = shutil.which(name)
    if path is None:
        left_out(f"{name} is not installed")
    return path


def ruby(library: str) -> list[str]:
    """The command that runs Ruby with this library."""
    command = [program("ruby")]
    if not _succeeds([*command, "-e", f"require '{library}'"]):
        left_out(f"Ruby's {library} is not installed")
    # Faraday 2 has a gem of that name, Faraday 1 has it built in.
    if library == "faraday" and not _succeeds([*command, "-e", "require 'faraday/multipart'"]):
        command += ["-I", str(CLIENTS / "load_path")]
    return command


def node() -> list[str]:
    """The command that runs Node, with the packages of the lock in NODE_MODULES."""
    command = [program("node")]
    packages(CLIENTS)
    return command


def packages(folder: Path) -> Path:
    """Its node_modules, with what its lock names."""
    modules = folder / "node_modules"
    installed, lock = modules / ".package-lock.json", folder / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        install = [program("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(install, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            left_out(f"npm ci failed: {done.stderr[-500:]}")
    return modules


def php() -> list[str]:
    """The command that runs PHP with its curl extension."""
    command = [program("php")]
    if not _succeeds([*command, "-r", "exit(extension_loaded('curl') ? 0 : 1);"]):
        left_out("PHP's curl extension is not installed")
    return command


def left_out(reason: str) -> NoReturn:
    """A machine without Ruby or Node may leave their tests out, the one that decides may not."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
