"""GETs of several sizes, on several nginx nodes, racing a DELETE."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from tests import pictures

PICTURE: Final = pictures.jpeg(64, 48)
VARIANTS: Final = ("", "?w=16", "?w=20&h=20", "?h=33&f=webp", ".png", "?w=40&q=50")
READERS: Final = 6
MAX_DELAY_SECONDS: Final = 0.03  # between the first GETs and the DELETE
AFTERWARDS: Final = 2  # GETs of each reader that begin after the answer to DELETE
SECONDS: Final = 30.0
NO_ANSWER: Final = 0  # refused, or cut off: not what a race is about


@dataclass
class Tally:
    """What came of many races. `broken`: answers with a picture to requests sent after its DELETE's 200."""

    races: int = 0
    requests: int = 0
    deletes: Counter[int] = field(default_factory=Counter)
    before: Counter[int] = field(default_factory=Counter)
    after: Counter[int] = field(default_factory=Counter)
    overlapped: int = 0
    unavailable: int = 0  # uploads that had to be sent again
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.races} races, {self.requests} GETs, {self.overlapped} of them unanswered when DELETE was;"
            f" sent after its 200: {self.after.total()}, of these {self.after[NO_ANSWER]} were not answered"
            f" and {len(self.broken)} got a picture;"
            f" answers to DELETE: {dict(self.deletes)}"
        )


class Races:
    """`origin` takes the uploads and deletes; the GETs go to all of `nodes`, given as base URLs."""

    def __init__(self, session: aiohttp.ClientSession, origin: str, nodes: Sequence[str]) -> None:
        self._session = session
        self._origin = origin
        self._nodes = nodes
        self._random = random.Random(7)
        self.tally = Tally()

    async def upload(self, user_id: str = "racer") -> str:
        """The id of a new picture; asks again where the machine is too busy."""
        deadline = time.monotonic() + SECONDS
        while True:
            form = aiohttp.FormData({"user_id": user_id})
            form.add_field("image", PICTURE, filename="a.jpg")
            async with self._session.post(f"{self._origin}/v1/upload", data=form) as answer:
                body: dict[str, Any] = await answer.json()
                if answer.status == 200:
                    return str(body["image_id"])
                assert answer.status == 503, body
                assert time.monotonic() < deadline, body
            self.tally.unavailable += 1
            await asyncio.sleep(1)

    async def run(self, count: int, at_once: int = 4) -> Tally:
        """So many races, each of a picture of its own."""
        waiting = iter(range(count))

        async def work() -> None:
            for _ in waiting:
                await self.race(await self.upload())

        await asyncio.gather(*(work() for _ in range(at_once)))
        return self.tally

    async def race(self, image_id: str) -> int:
        """One race; gives the status of the DELETE."""
        deleted = asyncio.get_running_loop().create_future()
        readers = [asyncio.create_task(self._read(image_id, deleted)) for _ in range(READERS)]
        await asyncio.sleep(self._random.uniform(0, MAX_DELAY_SECONDS))
        status = await self.delete(image_id)
        deleted.set_result((time.monotonic(), status))
        await asyncio.gather(*readers)
        self.tally.races += 1
        return status

    async def delete(self, image_id: str) -> int:
        async with self._session.delete(f"{self._origin}/v1/images/{image_id}") as answer:
            await answer.read()
            self.tally.deletes[answer.status] += 1
            return answer.status

    async def delete_user(self, user_id: str) -> dict[str, Any]:
        """The receipt."""
        async with self._session.delete(f"{self._origin}/v1/users/{user_id}") as answer:
            body: dict[str, Any] = await answer.json()
            assert answer.status == 200, body
            return body

    async def sweep(self, image_ids: Sequence[str], variants: Sequence[str] = VARIANTS) -> None:
        """Every size of deleted pictures from every node."""
        for image_id in image_ids:
            for node in self._nodes:
                for variant in variants:
                    self._note(node, image_id, variant, await self.get(node, image_id, variant))

    async def get(self, node: str, image_id: str, variant: str) -> int:
        """The status; NO_ANSWER where the node refuses or cuts off."""
        self.tally.requests += 1
        try:
            async with self._session.get(f"{node}/{image_id}{variant}") as answer:
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return NO_ANSWER

    async def _read(self, image_id: str, deleted: "asyncio.Future[tuple[float, int]]") -> None:
        afterwards = 0
        while afterwards < AFTERWARDS:
            node, variant = self._random.choice(self._nodes), self._random.choice(VARIANTS)
            sent = time.monotonic()
            after = deleted.done() and sent > deleted.result()[0]
            status = await self.get(node, image_id, variant)
            if status == NO_ANSWER:
                await asyncio.sleep(0.002)
            if not after:
                self.tally.before[status] += 1
                self.tally.overlapped += deleted.done()
                continue
            afterwards += 1
            if deleted.result()[1] == 200:
                self._note(node, image_id, variant, status)

    def _note(self, node: str, image_id: str, variant: str, status: int) -> None:
        self.tally.after[status] += 1
        if status not in (404, NO_ANSWER):
            self.tally.broken.append(f"{status} from {node}/{image_id}{variant}")


@asynccontextmanager
async def racing(origin: str, key: str, nodes: Sequence[str]) -> AsyncGenerator[Races]:
    """`key` may delete; the CDN takes no notice of it."""
    async with aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {key}"},
        timeout=aiohttp.ClientTimeout(total=SECONDS),
        connector=aiohttp.TCPConnector(limit=0),
    ) as session:
        yield Races(session, origin, nodes)
