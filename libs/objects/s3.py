"""Objects in a bucket of S3, or of any server that speaks it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from aiohttp import ClientError as HttpError
from botocore.exceptions import BotoCoreError, ClientError
from botocore.handlers import add_expect_header

from libs.objects.contract import Stored, bounded, check_meta, check_name
from libs.objects.direct import Answer, Direct
from libs.objects.settings import ObjectSettings

if TYPE_CHECKING:
    from aiobotocore.credentials import AioCredentials
    from types_aiobotocore_s3 import S3Client

ATTEMPTS: Final = 2  # the retry included
METADATA: Final = "x-amz-meta-"
NO_SUCH_KEY: Final = b"<Code>NoSuchKey</Code>"  # and not the bucket
FAILURES: Final = (BotoCoreError, ClientError, HttpError, OSError)


class ShortReadError(OSError):
    """An answer that ended before its length, or that did not say one."""


class BucketObjects:
    """The name is the key; metadata rides in `x-amz-meta-` headers."""

    def __init__(
        self, client: "S3Client", direct: Direct | None, bucket: str, timeout_seconds: float
    ) -> None:
        self._client = client
        self._direct = direct
        self._bucket = bucket
        self._timeout_seconds = timeout_seconds

    async def put(self, name: str, data: bytes | Path, meta: Mapping[str, str]) -> None:
        key, headers = check_name(name), _to_headers(check_meta(meta))
        async with bounded("put", self._timeout_seconds, FAILURES):
            with _body(data) as body:
                await self._client.put_object(Bucket=self._bucket, Key=key, Body=body, Metadata=headers)

    async def get(self, name: str) -> Stored | None:
        key = check_name(name)
        async with bounded("get", self._timeout_seconds, FAILURES):
            answer = await self._ask("GET", key)
            if answer is None:
                return await self._get(key)
            if answer.status == 404:
                return None
            return _stored(key, answer.body, answer.length, _metadata(answer.headers))

    async def head(self, name: str) -> dict[str, str] | None:
        key = check_name(name)
        async with bounded("head", self._timeout_seconds, FAILURES):
            return await self._head(key)

    async def delete(self, names: Sequence[str]) -> int:
        # One request a name: DeleteObjects does not say what was there, and demands a checksum that
        # several servers do not know.
        keys = [check_name(name) for name in names]
        async with bounded("delete", self._timeout_seconds, FAILURES):
            # Every name gets its try, whatever became of the others.
            results = await asyncio.gather(*map(self._delete, keys), return_exceptions=True)
            return sum(_result(result) for result in results)

    async def ready(self) -> None:
        async with bounded("ready", self._timeout_seconds, FAILURES):
            await self._client.head_bucket(Bucket=self._bucket)

    async def _delete(self, key: str) -> bool:
        was_there = await self._head(key) is not None
        await self._client.delete_object(Bucket=self._bucket, Key=key)
        return was_there

    async def _ask(self, method: str, key: str) -> Answer | None:
        """What there is, or that there is nothing; None where botocore has to ask, who knows every answer."""
        if self._direct is None or not self._direct.ready:
            return None
        answer = await self._direct.ask(method, key)
        if answer.status == 200 or (answer.status == 404 and NO_SUCH_KEY in answer.body):
            return answer
        if answer.status != 404:
            self._direct.forget()
        return None

    async def _get(self, key: str) -> Stored | None:
        try:
            response = await self._client.get_object(Bucket=self._bucket, Key=key)
        except self._client.exceptions.NoSuchKey:
            self._learn(key)
            return None
        self._learn(key)
        async with response["Body"] as body:
            data = await body.read()
        return _stored(key, data, response.get("ContentLength"), response["Metadata"])

    async def _head(self, key: str) -> dict[str, str] | None:
        answer = await self._ask("HEAD", key)
        if answer is not None:
            return _from_headers(_metadata(answer.headers))
        try:
            response = await self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            # The answer to a HEAD has no body to say whether it is the bucket that is missing.
            await self._client.head_bucket(Bucket=self._bucket)
            return None
        self._learn(key)
        return _from_headers(response["Metadata"])

    def _learn(self, key: str) -> None:
        if self._direct is not None:
            self._direct.learn(key)


@contextlib.asynccontextmanager
async def open_bucket(bucket: str, settings: ObjectSettings) -> AsyncGenerator[BucketObjects]:
    """The store in `bucket`, which must exist, over one client and its pool of connections."""
    style = settings.s3_addressing_style
    if style == "auto" and settings.s3_endpoint_url:
        style = "path"
    secret = settings.s3_secret_access_key
    config = AioConfig(
        connect_timeout=settings.s3_connect_timeout_seconds,
        read_timeout=settings.s3_read_timeout_seconds,
        max_pool_connections=settings.s3_connections,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        s3={"addressing_style": style},
        # Several S3 servers refuse the checksums that botocore sends since 2025 unless told otherwise.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    session = get_session()
    if settings.s3_access_key_id and secret:
        session.set_credentials(settings.s3_access_key_id, secret.reveal())
    async with session.create_client(
        "s3",
        region_name=settings.s3_region,
        endpoint_url=settings.s3_endpoint_url,
        aws_access_key_id=settings.s3_access_key_id,
        aws_secret_access_key=secret.reveal() if secret else None,
        config=config,
    ) as client:
        # aiohttp waits for the "100 Continue" without end, and not every server sends one.
        client.meta.events.unregister("before-call.s3", add_expect_header)
        direct = _direct(client, await session.get_credentials())
        yield BucketObjects(client, direct, bucket, settings.objects_timeout_seconds)


def _direct(client: "S3Client", credentials: "AioCredentials | None") -> Direct | None:
    """Over the client's own connections, or None where botocore's answer has to be that there are no keys."""
    if credentials is None:
        return None
    direct = Direct(client._endpoint.http_session, credentials, ATTEMPTS)  # type: ignore[attr-defined]
    for operation in ("GetObject", "HeadObject"):
        client.meta.events.register(f"before-send.s3.{operation}", direct.watch)
    return direct


def _stored(key: str, data: bytes, length: int | None, meta: Mapping[str, str]) -> Stored:
    if length != len(data):
        raise ShortReadError(f"{key}: {len(data)} of {length} bytes")
    return Stored(data, _from_headers(meta))


def _metadata(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(METADATA): value for name, value in headers.items() if name.startswith(METADATA)
    }


def _result(result: bool | BaseException) -> bool:
    if isinstance(result, BaseException):
        raise result
    return result


def _body(data: bytes | Path) -> contextlib.AbstractContextManager[bytes | IO[bytes]]:
    return data.open("rb") if isinstance(data, Path) else contextlib.nullcontext(data)


def _to_headers(meta: Mapping[str, str]) -> dict[str, str]:
    # nginx, and so a gateway in front of the bucket, drops headers with an underscore.
    return {key.replace("_", "-"): value for key, value in meta.items()}


def _from_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {key.lower().replace("-", "_"): value for key, value in headers.items()}
