"""Both stores of objects: a folder, and a bucket of moto's S3 server over HTTP."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from libs.objects import Objects, ObjectSettings, open_objects
from tests.libs.buckets import new_bucket, running_s3


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The base URL of an S3 server of our own."""
    with running_s3(tmp_path_factory.mktemp("s3") / "server.log") as url:
        yield url


@pytest.fixture
def s3_settings(s3_server: str) -> ObjectSettings:
    return new_bucket(s3_server)


@pytest.fixture
def folder_settings(tmp_path: Path) -> ObjectSettings:
    return ObjectSettings(objects_url=(tmp_path / "objects").as_uri())


@pytest.fixture(params=["folder", "s3"])
async def objects(request: pytest.FixtureRequest) -> AsyncGenerator[Objects]:
    """A new and empty store."""
    settings: ObjectSettings = request.getfixturevalue(f"{request.param}_settings")
    async with open_objects(settings) as opened:
        yield opened
