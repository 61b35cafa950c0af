"""One request through all logs, by the command that docs/observability.md gives."""

import json
import re
import subprocess
import uuid

import pytest

from deploy.local.programs import CHECKOUT
from tests import pictures
from tests.e2e import calls
from tests.faults.broken import Breakable
from tests.stack import wait_for


def documented(request_id: str, state_dir: str) -> str:
    """The command for `make run`, with this id and this STATE_DIR."""
    manual = (CHECKOUT / "docs" / "observability.md").read_text()
    (command,) = re.findall(r"(?m)^(grep .*) # make run$", manual)
    return str(command).replace("ID", request_id).replace("var/log", f"{state_dir}/log")


def trace(stack: Breakable, request_id: str) -> dict[str, dict[str, object]]:
    """The line of each service."""
    command = documented(request_id, str(stack.state_dir))
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {str(line["service"]): line for line in lines}


@pytest.mark.parametrize("with_key", [True, False])
def test_an_upload_is_followed_from_the_edge_to_the_record(
    stack: Breakable, key: str, with_key: bool
) -> None:
    request_id = f"trace-{uuid.uuid4()}"
    with calls.client(stack, key if with_key else None) as api:
        answer = api.post(
            "/v1/upload",
            data={"user_id": "ada"},
            files={"image": pictures.jpeg()},
            headers={"X-Request-Id": request_id},
        )
    assert answer.headers["x-request-id"] == request_id
    services = {"nginx", "auth", "ingest"} if with_key else {"nginx", "auth"}
    wait_for(lambda: trace(stack, request_id).keys() == services)
    found = trace(stack, request_id)
    assert found["nginx"]["status"] == answer.status_code == (200 if with_key else 401)
    assert found["nginx"]["route"] == "/v1/upload"
    assert found["auth"]["route"] == "/authorize"
    if with_key:
        assert found["ingest"]["route"] == "/v1/upload"


def test_a_picture_is_followed_to_its_render_and_a_hit_stays_at_the_edge(stack: Breakable, key: str) -> None:
    first, second = f"trace-{uuid.uuid4()}", f"trace-{uuid.uuid4()}"
    with calls.client(stack, key) as api:
        path = f"/{calls.upload(api, pictures.jpeg())['image_id']}?w=33"
        for request_id in (first, second):
            assert api.get(path, headers={"X-Request-Id": request_id}).status_code == 200
    wait_for(lambda: trace(stack, second).keys() == {"nginx"} and "nginx" in trace(stack, first))
    assert trace(stack, first).keys() == {"nginx", "transform"}
    assert (trace(stack, first)["nginx"]["cache"], trace(stack, second)["nginx"]["cache"]) == ("MISS", "HIT")
