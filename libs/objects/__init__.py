"""Objects, bytes with a few strings of metadata: one Protocol, kept in a folder or in an S3 bucket."""

import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from libs.objects.contract import Objects, ObjectsUnavailable, Stored
from libs.objects.settings import ObjectSettings

__all__ = ["ObjectSettings", "Objects", "ObjectsUnavailable", "Stored", "open_objects"]


@contextlib.asynccontextmanager
async def open_objects(settings: ObjectSettings) -> AsyncGenerator[Objects]:
    """The store that OBJECTS_URL names, for as long as the service runs.

    A store that is down does not stop the start: its calls raise ObjectsUnavailable until it is back.
    """
    url = urlsplit(settings.objects_url)
    # Imported here, so that a service on a folder does not wait for botocore.
    if url.scheme == "s3":
        from libs.objects.s3 import open_bucket

        async with open_bucket(url.netloc, settings) as bucket:
            yield bucket
    else:
        from libs.objects.folder import open_folder

        async with open_folder(Path(unquote(url.path)), settings.objects_timeout_seconds) as folder:
            yield folder
