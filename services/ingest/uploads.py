"""An upload, from the spooled form to the picture that everyone can see."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio.to_thread
import msgspec

from libs import errors
from libs.errors import ApiError, InvalidApiKey, Unavailable
from libs.identity import Identity
from libs.metrics import counter
from libs.objects import Objects
from libs.pictures import MAX_UPLOAD_BYTES, new_image_id, original_name, rendition_name
from libs.usage import Usage
from services.ingest.deletions import Deletions
from services.ingest.failpoints import Failpoints
from services.ingest.form import Form
from services.ingest.idempotency import Attempt, Claims, fingerprint
from services.ingest.images import AccountClosed, Image, Images, LimitReached
from services.ingest.sandbox import Sandbox

if TYPE_CHECKING:
    from services.ingest.renditions import Made

# In an account's usage: pictures that were stored, and the bytes of their files.
IMAGES: Final = "images"
BYTES: Final = "bytes"
MAX_USER_ID_LENGTH: Final = 255

CLEANUPS: Final = counter(
    "upload_cleanups_total",
    "Failed uploads by how their traces were removed",
    end=("done", "left to the janitor"),
)


class Upload(msgspec.Struct, frozen=True):
    """A form whose parts are well formed."""

    user_id: str
    file_size: int


def parse(form: Form) -> Upload:
    """The form's parts checked, user_id first; raises the error of the first that is wrong."""
    user_id = parse_user_id(form.user_id)
    if not form.image_bytes:
        raise ApiError(errors.MISSING_IMAGE)
    if form.image_bytes > MAX_UPLOAD_BYTES:
        raise ApiError(errors.FILE_TOO_LARGE)
    return Upload(user_id, form.image_bytes)


def parse_user_id(raw: bytes | None) -> str:
    try:
        user_id = (raw or b"").decode().strip()
    except UnicodeDecodeError as error:
        raise ApiError(errors.INVALID_USER_ID, "user_id must be UTF-8 text") from error
    if not user_id:
        raise ApiError(errors.MISSING_USER_ID)
    if len(user_id) > MAX_USER_ID_LENGTH or any(
        ord(character) < 32 or 127 <= ord(character) < 160 for character in user_id
    ):
        raise ApiError(errors.INVALID_USER_ID)
    return user_id


class Uploads:
    """Takes uploads; an answer is given only when the picture is stored and its record is ready."""

    def __init__(
        self,
        images: Images,
        objects: Objects,
        deletions: Deletions,
        sandbox: Sandbox,
        claims: Claims,
        failpoints: Failpoints,
        usage: Usage,
    ) -> None:
        self._images = images
        self._objects = objects
        self._deletions = deletions
        self._sandbox = sandbox
        self._claims = claims
        self._reach = failpoints.reach
        self._usage = usage
        self._cleanups: set[asyncio.Task[None]] = set()

    async def take_once(
        self, identity: Identity, upload: Upload, source: Path, folder: Path, key: str | None
    ) -> Image:
        """As `take`; a request that comes again with the same `key` gets the first one's picture."""
        self._reach("received")
        if key is None:
            return await self.take(identity, upload, source, folder)
        attempt = Attempt(key, await anyio.to_thread.run_sync(fingerprint, upload.user_id, source))
        async with self._claims.claim(identity.account_id, key):
            made_before = await self._images.replay(identity.account_id, attempt)
            return made_before or await self.take(identity, upload, source, folder, attempt)

    async def take(
        self,
        identity: Identity,
        upload: Upload,
        source: Path,
        folder: Path,
        attempt: Attempt | None = None,
    ) -> Image:
        """Store the picture in the file `source`; `folder` is empty and private to this upload.

        Raises InvalidImage and its like for the picture, Unavailable for a part that is down; leaves nothing.
        """
        inspected = await self._sandbox.inspect(identity.account_id, source)
        self._reach("inspected")
        image_id = new_image_id()
        try:
            made_before = await self._images.reserve(
                image_id,
                identity.account_id,
                upload.user_id,
                upload.file_size,
                identity.request_id,
                key=attempt.key if attempt else None,
                limit=identity.image_limit,
            )
        except LimitReached as error:
            raise over_quota(identity) from error
        except AccountClosed as error:
            raise InvalidApiKey(sent=True) from error
        if made_before:
            return made_before
        self._reach("reserved")
        try:
            made = await self._sandbox.render(identity.account_id, source, inspected, folder)
        except BaseException:
            self._clean_up_later(self._images.abandon(image_id))
            raise
        self._reach("rendered")
        try:
            await self._store(image_id, source, made)
            self._reach("stored")
            full = made[0].meta
            image = await self._images.finish(
                image_id, identity.request_id, full.full_width, full.full_height, attempt
            )
            if image is None:
                raise Unavailable
        except BaseException:
            self._clean_up_later(self._deletions.failed_upload(image_id))
            raise
        self._reach("finished")
        self._usage.count(identity.account_id, IMAGES)
        self._usage.count(identity.account_id, BYTES, upload.file_size)
        return image

    async def _store(self, image_id: str, source: Path, made: list["Made"]) -> None:
        """Every object, side by side; the first failure is the one that is raised."""
        puts = [self._put_original(image_id, source)]
        puts += [
            self._objects.put(rendition_name(image_id, one.name), one.path, one.meta.meta()) for one in made
        ]
        tasks = [asyncio.ensure_future(put) for put in puts]
        try:
            await asyncio.gather(*tasks)
        finally:
            # None may still be writing when the traces are removed.
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _put_original(self, image_id: str, source: Path) -> None:
        await self._objects.put(original_name(image_id), source, {})
        self._reach("original stored")

    def _clean_up_later(self, removal: Coroutine[None, None, None]) -> None:
        """After the answer: a store that hangs must not make the client wait for it twice."""
        task = asyncio.create_task(_clean_up(removal))
        self._cleanups.add(task)
        task.add_done_callback(self._cleanups.discard)

    async def close(self) -> None:
        """Wait for the clean-ups that are under way."""
        if self._cleanups:
            await asyncio.wait(self._cleanups)


def over_quota(identity: Identity) -> ApiError:
    return ApiError(
        errors.QUOTA_EXCEEDED,
        f"The plan {identity.plan} holds {identity.image_limit} images, and this account has as many;"
        " delete images or change the plan",
    )


async def _clean_up(removal: Coroutine[None, None, None]) -> None:
    """What cannot be removed now is still named by its pending record, or by its row of the outbox."""
    try:
        await removal
    except Unavailable:
        CLEANUPS.labels("left to the janitor").inc()
    else:
        CLEANUPS.labels("done").inc()
