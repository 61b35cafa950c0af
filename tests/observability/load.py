"""A little of everything that clients do, right and wrong."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from tests import pictures
from tests.e2e import calls
from tests.stack import Stack


class Load:
    """Rounds of calls, one after the other, on a thread of their own until `stop`."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._stopped = threading.Event()
        self._limited = stack.create_account("free")
        self._key = stack.create_account("unlimited")
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.failure: BaseException | None = None
        self.rounds = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            with (
                calls.client(self._stack, self._key) as api,
                calls.client(self._stack, self._limited) as limited,
            ):
                while not self._stopped.is_set():
                    self._round(api, limited)
                    self.rounds += 1
        except BaseException as error:
            self.failure = error

    def _round(self, api: httpx2.Client, limited: httpx2.Client) -> None:
        answer = api.post("/v1/upload", data={"user_id": "ada"}, files={"image": pictures.jpeg(600, 400)})
        image_id = answer.json().get("image_id", calls.NOWHERE)
        api.post("/v1/upload", data={"user_id": "ada"}, files={"image": pictures.jpeg(60, 40)[:-99]})
        for variant in ("", *["?w=100"] * 9, "?w=120&f=webp", "?h=90&f=png", "?w=99999"):
            api.get(f"/{image_id}{variant}")
        for path in ("/v1/images", f"/v1/images/{image_id}", f"/{calls.NOWHERE}", "/nothing"):
            api.get(path)
        for _ in range(3):
            limited.get("/v1/images")
        api.get("/v1/images", headers={"Authorization": "Bearer nobody"})
        api.delete(f"/v1/images/{image_id}")
        api.delete("/v1/users/nobody")


@contextmanager
def under_load(stack: Stack) -> Iterator[Load]:
    load = Load(stack)
    load.start()
    try:
        yield load
    finally:
        load.stop()
