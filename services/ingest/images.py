"""The record of every upload: SQL, and nothing else."""

import base64
import binascii
from datetime import datetime

import asyncpg
import msgspec

from libs.database import Database
from libs.errors import INVALID_PARAMETER, ApiError

_FIELDS = "image_id, user_id, width, height, file_size, created_at"


class Image(msgspec.Struct, frozen=True):
    """A picture that is ready: `width` x `height` upright, `file_size` bytes as uploaded."""

    image_id: str
    user_id: str
    width: int
    height: int
    file_size: int
    created_at: datetime


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The last picture of a page; the next page begins after it."""

    created_at: datetime
    image_id: str

    def text(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).rstrip(b"=").decode()

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Raises INVALID_PARAMETER where `text` is not a cursor of ours."""
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            cursor = msgspec.json.decode(raw, type=cls)
        except (ValueError, binascii.Error, msgspec.DecodeError) as error:
            raise ApiError(INVALID_PARAMETER, "cursor must be a next_cursor of an earlier answer") from error
        if cursor.created_at.tzinfo is None or "\0" in cursor.image_id:
            raise ApiError(INVALID_PARAMETER, "cursor must be a next_cursor of an earlier answer")
        return cursor


def _image(row: asyncpg.Record) -> Image:
    return Image(**dict(row))


class Images:
    """The table `images`; every method is one statement or one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(
        self, image_id: str, account_id: str, user_id: str, file_size: int, request_id: str
    ) -> Image | None:
        """Insert a pending record; returns the picture instead where this very request made it already.

        An unfinished attempt of the same request loses its claim: it can no longer become ready.
        """
        async with self._database.connection() as connection, connection.transaction():
            row = await connection.fetchrow(
                f"SELECT {_FIELDS}, status FROM images WHERE request_id = $1 FOR UPDATE", request_id
            )
            if row and row["status"] == "ready":
                return Image(**{key: value for key, value in row.items() if key != "status"})
            await connection.execute("UPDATE images SET request_id = NULL WHERE request_id = $1", request_id)
            await connection.execute(
                "INSERT INTO images (image_id, account_id, user_id, file_size, request_id)"
                " VALUES ($1, $2, $3, $4, $5)",
                image_id,
                account_id,
                user_id,
                file_size,
                request_id,
            )
        return None

    async def finish(self, image_id: str, request_id: str, width: int, height: int) -> Image | None:
        """Make a pending record ready, its objects being stored; None where the claim was lost."""
        row = await self._database.fetchrow(
            "UPDATE images SET status = 'ready', width = $3, height = $4, created_at = now()"
            f" WHERE image_id = $1 AND request_id = $2 AND status = 'pending' RETURNING {_FIELDS}",
            image_id,
            request_id,
            width,
            height,
        )
        return _image(row) if row else None

    async def abandon(self, image_id: str) -> None:
        """Remove a pending record whose objects are gone."""
        await self._database.execute(
            "DELETE FROM images WHERE image_id = $1 AND status = 'pending'", image_id
        )

    async def find(self, account_id: str, image_id: str) -> Image | None:
        row = await self._database.fetchrow(
            f"SELECT {_FIELDS} FROM images WHERE image_id = $1 AND account_id = $2 AND status = 'ready'",  # noqa: S608
            image_id,
            account_id,
        )
        return _image(row) if row else None

    async def page(
        self, account_id: str, user_id: str | None, limit: int, after: Cursor | None
    ) -> tuple[list[Image], Cursor | None]:
        """At most `limit` pictures, newest first, and the cursor of the next page where there is one."""
        conditions, values = ["account_id = $1", "status = 'ready'"], [account_id, limit + 1]
        arguments: list[object] = list(values)
        if user_id is not None:
            arguments.append(user_id)
            conditions.append(f"user_id = ${len(arguments)}")
        if after is not None:
            arguments += [after.created_at, after.image_id]
            conditions.append(f"(created_at, image_id) < (${len(arguments) - 1}, ${len(arguments)})")
        rows = await self._database.fetch(
            f"SELECT {_FIELDS} FROM images WHERE {' AND '.join(conditions)}"  # noqa: S608
            " ORDER BY created_at DESC, image_id DESC LIMIT $2",
            *arguments,
        )
        images = [_image(row) for row in rows[:limit]]
        more = len(rows) > limit
        return images, Cursor(images[-1].created_at, images[-1].image_id) if more else None
