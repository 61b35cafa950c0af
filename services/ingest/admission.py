"""Who may begin an upload, and when: what one account may take of this process from the others."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import anyio
from prometheus_client import Counter, Gauge

from libs.errors import IMAGE_DIMENSIONS_TOO_LARGE, INVALID_IMAGE_FORMAT, ApiError, Unavailable
from services.ingest.sandbox import SMALL_BYTES

ABOUT_SECONDS: Final = 1.0  # since its last upload, an account is still about: clients pause, too
SUSPECT_SECONDS: Final = 1.0  # with as many pictures refused in it as no honest account has
SUSPECT_REFUSALS: Final = 3
TURN_SECONDS: Final = 20
MAX_REST_SECONDS: Final = 1.0  # what takes longer computes on idle cores
TOO_MANY: Final = (
    "Too many uploads are being processed; wait for the seconds in Retry-After and send it again"
)

UNDER_WAY: Final = Gauge(
    "uploads_under_way", "Uploads from their first byte to the answer, and those waiting"
)
LIMIT: Final = Gauge("uploads_under_way_limit", "Uploads that this process takes at a time")
WAITING: Final = Gauge("uploads_waiting", "Uploads that wait because other accounts are about")
REFUSALS: Final = Counter(
    "upload_refusals_total", "Uploads refused because as many as we take were under way"
)


class Lane:
    """Uploads of one account in their order, `most` of them in work while other accounts are about."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.line: deque[object] = deque()  # uploads that wait
        self.in_work = 0
        self.opens = 0.0

    @property
    def uploads(self) -> int:
        return len(self.line) + self.in_work

    @property
    def is_open(self) -> bool:
        return self.in_work < self.most and time.monotonic() >= self.opens


class Account:
    """What one account has here, cheap and costly uploads apart."""

    def __init__(self, workers: int) -> None:
        self.cheap = Lane(workers)
        self.costly = Lane(max(1, workers // 2))
        self.ended = 0.0  # its last upload
        self.refusals: deque[float] = deque(maxlen=SUSPECT_REFUSALS)  # of its pictures, when

    @property
    def uploads(self) -> int:
        return self.cheap.uploads + self.costly.uploads

    @property
    def is_about(self) -> bool:
        return bool(self.uploads) or time.monotonic() - self.ended < ABOUT_SECONDS

    def lane(self, length: int) -> Lane:
        return self.costly if length > SMALL_BYTES or self._is_suspect else self.cheap

    @property
    def _is_suspect(self) -> bool:
        enough = len(self.refusals) == SUSPECT_REFUSALS
        return enough and time.monotonic() - self.refusals[0] < SUSPECT_SECONDS


class Admission:
    """At most `limit` uploads at a time: of each account no more than it leaves free for others.

    An account that is alone takes all there is. While several are about, each has as many in work as there
    are box `workers`. Of its costly ones, which are large or follow several refused pictures, it has half as
    many, and after each the next waits for as long as that took. Nothing is read of one that waits: nginx
    holds its body.
    """

    def __init__(self, limit: int, workers: int, turn_seconds: float = TURN_SECONDS) -> None:
        self._limit = limit
        self._workers = workers
        self._turn_seconds = turn_seconds
        self._accounts: dict[str, Account] = {}
        self._uploads = 0
        self._change = asyncio.Event()
        LIMIT.set(limit)

    @asynccontextmanager
    async def admit(self, account_id: str, length: int) -> AsyncGenerator[None]:
        """The time of one upload of a body of `length` bytes.

        Raises Unavailable where there is no place for it, or no turn in `turn_seconds`.
        """
        account = self._accounts.get(account_id) or Account(self._workers)
        if account.uploads >= self._limit - self._uploads:
            raise _refused()
        self._accounts[account_id] = account
        lane = account.lane(length)
        with self._counted():
            await self._turn(account, lane)
            lane.in_work += 1
            began = time.monotonic()
            try:
                yield
            except ApiError as error:
                if error.problem in (INVALID_IMAGE_FORMAT, IMAGE_DIMENSIONS_TOO_LARGE):
                    account.refusals.append(time.monotonic())
                raise
            finally:
                lane.in_work -= 1
                account.ended = time.monotonic()
                if lane is account.costly:
                    lane.opens = account.ended + min(MAX_REST_SECONDS, account.ended - began)
                self._accounts = {name: one for name, one in self._accounts.items() if one.is_about}
                self._wake()

    async def _turn(self, account: Account, lane: Lane) -> None:
        ticket = object()
        lane.line.append(ticket)
        try:
            with anyio.fail_after(self._turn_seconds):
                while lane.line[0] is not ticket or not (lane.is_open or self._is_alone(account)):
                    rest_seconds = lane.opens - time.monotonic()
                    with (
                        WAITING.track_inprogress(),
                        anyio.move_on_after(rest_seconds if rest_seconds > 0 else ABOUT_SECONDS),
                    ):
                        await self._change.wait()
        except TimeoutError:
            raise _refused() from None
        finally:
            lane.line.remove(ticket)
            self._wake()

    def _is_alone(self, account: Account) -> bool:
        return not any(one.is_about for one in self._accounts.values() if one is not account)

    def _wake(self) -> None:
        change, self._change = self._change, asyncio.Event()
        change.set()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._uploads += 1
        UNDER_WAY.set(self._uploads)
        try:
            yield
        finally:
            self._uploads -= 1
            UNDER_WAY.set(self._uploads)


def _refused() -> Unavailable:
    REFUSALS.inc()
    return Unavailable(TOO_MANY, retry_seconds=1)
