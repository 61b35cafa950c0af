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
from libs.objects.settings import ObjectSettings

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

ATTEMPTS: Final = 2  # the retry included
FAILURES: Final = (BotoCoreError, ClientError, HttpError, OSError)


class ShortReadError(OSError):
    """An answer that ended before its length, or that did not say one."""


class BucketObjects:
    """The name is the key; metadata rides in `x-amz-meta-` headers."""

    def __init__(self, client: "S3Client", bucket: str, timeout_seconds: float) -> None:
        self._client = client
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
            try:
                response = await self._client.get_object(Bucket=self._bucket, Key=key)
            except self._client.exceptions.NoSuchKey:
                return None
            async with response["Body"] as body:
                data = await body.read()
            if response.get("ContentLength") != len(data):
                raise ShortReadError(f"{key}: {len(data)} of {response.get('ContentLength')} bytes")
            return Stored(data, _from_headers(response["Metadata"]))

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

    async def _head(self, key: str) -> dict[str, str] | None:
        try:
            response = await self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            # The answer to a HEAD has no body to say whether it is the bucket that is missing.
            await self._client.head_bucket(Bucket=self._bucket)
            return None
        return _from_headers(response["Metadata"])


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
    async with get_session().create_client(
        "s3",
        region_name=settings.s3_region,
        endpoint_url=settings.s3_endpoint_url,
        aws_access_key_id=settings.s3_access_key_id,
        aws_secret_access_key=secret.reveal() if secret else None,
        config=config,
    ) as client:
        # aiohttp waits for the "100 Continue" without end, and not every server sends one.
        client.meta.events.unregister("before-call.s3", add_expect_header)
        yield BucketObjects(client, bucket, settings.objects_timeout_seconds)


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
