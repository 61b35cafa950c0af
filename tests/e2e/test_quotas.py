"""A plan's number of images, from the API's side."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import httpx2

from deploy.local.admin import admin
from tests import pictures
from tests.conftest import MakeStack
from tests.e2e import calls
from tests.stack import Stack

PICTURE: Final = pictures.jpeg(60, 40)
PLANS: Final = {"business": None, "two": {"images": 2}, "four": {"images": 4}}
KEYED: Final = {"Idempotency-Key": "the one"}


def upload(api: httpx2.Client, **headers: str) -> httpx2.Response:
    files = {"image": ("a.jpg", PICTURE)}
    return api.post("/v1/upload", data={"user_id": "u"}, files=files, headers=headers)


def set_plan(stack: Stack, plan: str) -> None:
    accounts = admin(stack.state, ["list-accounts"], stack.environment).stdout.splitlines()
    account = next(line.split("\t")[0] for line in accounts if line.endswith("tenant"))
    done = admin(stack.state, ["set-plan", "--account", account, "--plan", plan], stack.environment)
    assert done.returncode == 0, done.stderr


def test_a_plan_holds_so_many_images_and_no_more(make_stack: MakeStack) -> None:
    stack = make_stack({"PLANS": json.dumps(PLANS)})
    with calls.client(stack, stack.create_account("two", "tenant")) as api:
        first = upload(api, **KEYED).json()
        with ThreadPoolExecutor(6) as pool:
            statuses = Counter(answer.status_code for answer in pool.map(lambda _: upload(api), range(6)))
        assert statuses == {200: 1, 403: 5}

        refused = upload(api)
        assert (refused.status_code, refused.headers["content-type"]) == (403, "application/json")
        assert refused.json()["error"] == {
            "code": "QUOTA_EXCEEDED",
            "message": "Your plan's number of images is used up",
            "details": "The plan two holds 2 images, and this account has as many;"
            " delete images or change the plan",
        }
        assert upload(api, **KEYED).json() == first, "a retry of what is stored already"

        broken = {"image": ("a.jpg", PICTURE[:99])}
        assert api.post("/v1/upload", data={"user_id": "u"}, files=broken).status_code == 400
        assert api.delete(f"/v1/images/{first['image_id']}").status_code == 200
        assert upload(api).status_code == 200
        assert upload(api).status_code == 403

        set_plan(stack, "four")
        assert [upload(api).status_code for _ in range(3)] == [200, 200, 403]
        set_plan(stack, "two")
        assert upload(api).status_code == 403
        assert len(api.get("/v1/images").json()["images"]) == 4
