"""GET and HEAD of a bucket, as botocore makes them and at half the price (decisions/0015)."""

import asyncio
import random
from collections.abc import Mapping
from re import compile as regex
from typing import TYPE_CHECKING, Final, NamedTuple

from aiobotocore.httpsession import AIOHTTPSession
from aiohttp import ClientError as HttpError
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest
from botocore.exceptions import BotoCoreError, HTTPClientError

if TYPE_CHECKING:
    from aiobotocore.credentials import AioCredentials

RETRY_SECONDS: Final = 1  # at most, before the second attempt; botocore's own
RETRIED: Final = {429, 500, 502, 503, 504}
FAILURES: Final = (BotoCoreError, HttpError, OSError)

_SCOPE: Final = regex(r"AWS4-HMAC-SHA256 Credential=[^,]+/\d{8}/([^/,]+)/s3/aws4_request,")


class Answer(NamedTuple):
    """An answer: `headers` have lower-case names, `length` is what the server said of the body, if it did."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    length: int | None


class FailedError(OSError):
    """The server's own failure, twice."""


class Direct:
    """Asks for keys where and how botocore last asked with success: its address, its region, its connections.

    So the rules for addresses, redirects to another region and certificates stay botocore's. Until a request
    of botocore's has succeeded, and after `forget`, there is nothing to go by, and `ready` is false.
    """

    def __init__(self, session: AIOHTTPSession, credentials: "AioCredentials", attempts: int) -> None:
        self._session = session
        self._credentials = credentials
        self._attempts = attempts
        self._sent: tuple[str, str] | None = None  # URL and region of botocore's last request
        self._base: tuple[str, str] | None = None  # the URL before a key, and the region

    @property
    def ready(self) -> bool:
        return self._base is not None

    def watch(self, request: AWSPreparedRequest, **_: object) -> None:
        """Handles botocore's event before-send."""
        authorization = request.headers.get("Authorization", b"")
        scope = _SCOPE.match(authorization if isinstance(authorization, str) else authorization.decode())
        self._sent = (request.url, scope[1]) if scope else None

    def learn(self, key: str) -> None:
        """Botocore has asked for `key` with success."""
        if self._sent and self._sent[0].endswith(f"/{key}"):
            self._base = self._sent[0].removesuffix(key), self._sent[1]

    def forget(self) -> None:
        self._base = None

    async def ask(self, method: str, key: str) -> Answer:
        """The answer, whatever its status; after a failure of the server or of the network it is asked again.

        Raises one of FAILURES.
        """
        if self._base is None:
            raise RuntimeError("nothing to go by yet")
        base, region = self._base
        for attempt in range(1, self._attempts + 1):
            try:
                answer = await self._ask(method, base + key, region)
                if answer.status not in RETRIED:
                    return answer
                error: Exception = FailedError(f"{method} {key}: {answer.status} {answer.body[:200]!r}")
            except (HTTPClientError, HttpError, OSError) as failure:
                error = failure
            if attempt == self._attempts:
                raise error
            await asyncio.sleep(random.random() * RETRY_SECONDS)  # noqa: S311 to spread, not to hide
        raise AssertionError

    async def _ask(self, method: str, url: str, region: str) -> Answer:
        signed = await self._signed(method, url, region)
        response = await self._session.send(signed)  # type: ignore[arg-type]  # the stub takes it for requests'
        async with response.raw as raw:
            body = await raw.read()
        length = response.headers.get("content-length")
        return Answer(response.status_code, response.headers, body, int(length) if length else None)

    async def _signed(self, method: str, url: str, region: str) -> AWSPreparedRequest:
        # Frozen for this request: those of a role are refreshed before they end.
        credentials = await self._credentials.get_frozen_credentials()
        request = AWSRequest(method, url)
        S3SigV4Auth(credentials, "s3", region).add_auth(request)
        return AWSPreparedRequest(method, url, request.headers, None, stream_output=True)
