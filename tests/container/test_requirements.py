"""What of the lock each image installs."""

import tomllib

import pytest

from deploy import requirements

LOCK = (requirements.CHECKOUT / "requirements.lock").read_text()
GROUPS = tomllib.loads((requirements.CHECKOUT / "pyproject.toml").read_text())["dependency-groups"]


def packages(group: str) -> set[str]:
    selected = requirements.select(LOCK, set(requirements.direct(GROUPS, group)))
    return {name for name, _, _ in requirements.blocks(selected)}


def test_auth_installs_neither_libvips_nor_botocore() -> None:
    found = packages("auth")
    assert {"asyncpg", "redis", "starlette", "anyio", "h11"} <= found
    assert not {"pyvips", "pyvips-binary", "botocore", "pytest"} & found


def test_transform_installs_no_database_driver() -> None:
    found = packages("transform")
    assert {"pyvips", "pyvips-binary", "cffi", "botocore"} <= found
    assert not {"asyncpg", "redis", "itsdangerous"} & found


@pytest.mark.parametrize("group", ["auth", "ingest", "transform", "nginx"])
def test_every_requirement_has_its_hashes(group: str) -> None:
    selected = requirements.select(LOCK, set(requirements.direct(GROUPS, group)))
    assert all("--hash=sha256:" in block for _, block, _ in requirements.blocks(selected))


def test_a_package_that_the_lock_lacks_stops_the_build() -> None:
    with pytest.raises(SystemExit, match="make lock"):
        requirements.select(LOCK, {"no-such-package"})
