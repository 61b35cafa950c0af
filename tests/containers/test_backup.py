"""A backup of one stack, restored into another that was never used."""

from pathlib import Path

import httpx2
import pytest

from tests import pictures
from tests.containers.stack import ComposeStack
from tests.e2e import calls


def test_a_restored_stack_serves_every_picture(
    stack: ComposeStack, api: httpx2.Client, key: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = [calls.upload(api, pictures.jpeg(80 + side, 50), "backup")["image_id"] for side in range(10)]
    deleted = made.pop()
    assert api.delete(f"/v1/images/{deleted}").status_code == 200
    served = {image_id: api.get(f"/{image_id}?w=20").content for image_id in made}
    folder: Path = tmp_path_factory.mktemp("backup")
    stack.script("backup.sh", str(folder))

    restored = ComposeStack(tmp_path_factory.mktemp("restored"))
    try:
        restored.script("restore.sh", str(folder))
        with calls.client(restored, key) as client:
            assert {i: client.get(f"/{i}?w=20").content for i in made} == served
            listed = client.get("/v1/images?user_id=backup&limit=100").json()["images"]
            assert {image["image_id"] for image in listed} == set(made)
            assert client.get(f"/{deleted}").status_code == 404
            assert client.delete(f"/v1/images/{made[0]}").status_code == 200
            calls.upload(client, pictures.jpeg(30, 30))
    finally:
        restored.down()
