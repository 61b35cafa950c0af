"""A load of every kind of request, to run while parts of a stack come and go."""

import itertools
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

import httpx2

from tests.e2e.calls import Served
from tests.faults.figures import figure
from tests.faults.load import Load, outcome

SIDES: Final = itertools.count(1)  # each makes a variant that nobody has asked for


class Loads:
    """Every kind of request at once, each by clients of its own."""

    def __init__(
        self,
        stack: Served,
        key: str,
        picture: bytes,
        image_id: str,
        make_client: Callable[[], httpx2.Client] | None = None,
    ) -> None:
        self._picture = picture
        self._image_id = image_id
        self.made: list[str] = []
        asks = {"upload": self._upload, "list": self._list, "hit": self._hit, "miss": self._miss}
        self.by_name = {
            name: Load(stack, ask, key=key, clients=2, pause_seconds=0.01, make_client=make_client)
            for name, ask in asks.items()
        }

    def run_while(self, work: Callable[[], None]) -> None:
        with ExitStack() as running:
            for load in self.by_name.values():
                running.enter_context(load.running())
            work()

    def figure(self, claim: str) -> None:
        outcomes = {name: dict(load.outcomes) for name, load in self.by_name.items()}
        figure(claim, "; ".join(f"{name} {found}" for name, found in outcomes.items()))

    def all_outcomes(self) -> set[str]:
        return {outcome for load in self.by_name.values() for outcome in load.outcomes}

    def _upload(self, client: httpx2.Client, _: int) -> str:
        files = {"image": ("a.jpg", self._picture)}
        user_id = uuid.uuid4().hex
        answer = client.post("/v1/upload", data={"user_id": user_id}, files=files)
        if answer.status_code == 200:
            assert answer.json()["user_id"] == user_id
            self.made.append(answer.json()["image_id"])
        return outcome(answer)

    def _list(self, client: httpx2.Client, _: int) -> str:
        answer = client.get("/v1/images?limit=1")
        if answer.status_code == 200:
            assert len(answer.json()["images"]) == 1
        return outcome(answer)

    def _hit(self, client: httpx2.Client, _: int) -> str:
        return outcome(client.get(f"/{self._image_id}?w=21"))

    def _miss(self, client: httpx2.Client, _: int) -> str:
        side = next(SIDES)
        return outcome(client.get(f"/{self._image_id}?w={side % 100 + 1}&h={side // 100 + 1}"))
