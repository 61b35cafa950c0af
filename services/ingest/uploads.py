"""An upload, from the spooled form to the picture that everyone can see."""

import logging
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import msgspec
from prometheus_client import Counter

from libs import errors
from libs.errors import ApiError, Unavailable
from libs.identity import Identity
from libs.objects import Objects
from libs.pictures import MAX_UPLOAD_BYTES, new_image_id, object_names, original_name, rendition_name
from services.ingest.form import Form
from services.ingest.images import Image, Images
from services.ingest.inspect import inspect
from services.ingest.sandbox import Sandbox

MAX_USER_ID_LENGTH: Final = 255
CLEANUP_SECONDS: Final = 5

CLEANUPS: Final = Counter("upload_cleanups_total", "Failed uploads by how their traces were removed", ["end"])

log = logging.getLogger(__name__)


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

    def __init__(self, images: Images, objects: Objects, sandbox: Sandbox) -> None:
        self._images = images
        self._objects = objects
        self._sandbox = sandbox

    async def take(self, identity: Identity, upload: Upload, source: Path, folder: Path) -> Image:
        """Store the picture in the file `source`; `folder` is empty and private to this upload.

        Raises InvalidImage and its like for the picture, Unavailable for a part that is down: nothing is left then.
        """
        inspected = await anyio.to_thread.run_sync(inspect, source)
        image_id = new_image_id()
        made_before = await self._images.reserve(
            image_id, identity.account_id, upload.user_id, upload.file_size, identity.request_id
        )
        if made_before:
            return made_before
        try:
            made = await self._sandbox.render(identity.account_id, source, inspected, folder)
            async with anyio.create_task_group() as group:
                group.start_soon(self._objects.put, original_name(image_id), source, {})
                for rendition in made:
                    name = rendition_name(image_id, rendition.name)
                    group.start_soon(self._objects.put, name, rendition.path, rendition.meta.meta())
            full = made[0].meta
            image = await self._images.finish(
                image_id, identity.request_id, full.full_width, full.full_height
            )
            if image is None:
                raise Unavailable
        except BaseException as error:
            await self._clean_up(image_id)
            if isinstance(error, BaseExceptionGroup):
                raise _first(error) from error
            raise
        return image

    async def _clean_up(self, image_id: str) -> None:
        """Remove what a failed upload left; what cannot be removed now, its pending record still names."""
        with anyio.move_on_after(CLEANUP_SECONDS, shield=True):
            try:
                await self._objects.delete(object_names(image_id))
                await self._images.abandon(image_id)
            except Unavailable:
                CLEANUPS.labels("left to the janitor").inc()
            else:
                CLEANUPS.labels("done").inc()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error to answer with, of several uploads of one picture's objects that failed together."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
