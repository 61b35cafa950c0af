"""What ingest knows of an account, asked over its inner address with an identity that auth signs itself."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import date
from typing import Final, TypeVar

import aiohttp
import msgspec
from prometheus_client import Counter

from libs.errors import Unavailable
from libs.identity import HEADER, REQUEST_ID_HEADER, Identity, Signer
from libs.service import REQUEST_ID
from libs.usage import Days

ASK_SECONDS: Final = 2.0
DELETE_SECONDS: Final = 8.0  # ingest answers sooner with what it has done; nginx gives us 10
AT_ONCE: Final = 16  # who waits longer for a place than ASK_SECONDS is refused too

CALLS: Final = Counter("ingest_calls_total", "Questions to ingest by how they ended", ["end"])

T = TypeVar("T")


class Stored(msgspec.Struct, frozen=True):
    """How much an account stores, uploads that are under way included."""

    images: int
    bytes: int


class Purged(msgspec.Struct, frozen=True):
    """Of the deletion of all that an account stores: what is gone so far, and whether it is complete."""

    images: int = 0
    objects: int = 0
    nodes: int = 0
    complete: bool = False


class IngestUnavailable(Unavailable):
    """Ingest, or the nginx before it, is down, hung or full."""


class Ingest:
    """Every call ends in bounded time or raises IngestUnavailable."""

    def __init__(self, session: aiohttp.ClientSession, base: str, signer: Signer) -> None:
        self._session = session
        self._base = base
        self._signer = signer

    async def stored(self, account_id: str) -> Stored:
        return await self._call("GET", "account", account_id, Stored)

    async def usage(self, account_id: str, first: date, last: date) -> Days:
        query = {"from": first.isoformat(), "to": last.isoformat()}
        return await self._call("GET", "usage", account_id, Days, query=query)

    async def delete_account(self, account_id: str, request_id: str) -> Purged:
        """To be asked again, with the same `request_id`, until it is complete."""
        return await self._call(
            "DELETE", "account", account_id, Purged, request_id=request_id, seconds=DELETE_SECONDS
        )

    async def _call(
        self,
        method: str,
        name: str,
        account_id: str,
        kind: type[T],
        *,
        query: Mapping[str, str] | None = None,
        request_id: str | None = None,
        seconds: float = ASK_SECONDS,
    ) -> T:
        request_id = request_id or secrets.token_hex(16)
        identity = Identity(
            account_id=account_id,
            plan="",
            key_id="",
            method=method,
            path=f"/inner/{name}",
            request_id=request_id,
        )
        headers = {
            HEADER: self._signer.sign(identity),
            REQUEST_ID_HEADER: request_id,
            "X-Request-Id": REQUEST_ID.get(),
        }
        try:
            async with (
                asyncio.timeout(seconds),
                self._session.request(
                    method, f"{self._base}/ingest/{name}", headers=headers, params=query
                ) as answer,
            ):
                if answer.status != 200:
                    raise OSError(f"{answer.status} of {method} {name}")
                decoded = msgspec.json.decode(await answer.read(), type=kind)
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError) as error:
            CALLS.labels("failed").inc()
            raise IngestUnavailable from error
        CALLS.labels("done").inc()
        return decoded


@asynccontextmanager
async def open_ingest(url: str, signer: Signer) -> AsyncGenerator[Ingest]:
    """`url`: `unix:/path` or `http://host:port`, nginx's inner control address."""
    path = url.removeprefix("unix:")
    connector = (
        aiohttp.TCPConnector(limit=AT_ONCE) if path == url else aiohttp.UnixConnector(path, limit=AT_ONCE)
    )
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Ingest(session, url if path == url else "http://nginx", signer)
