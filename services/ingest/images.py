"""The record of every upload: SQL, and nothing else."""

import base64
import binascii
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
import msgspec
from prometheus_client import Gauge

from libs import usage
from libs.database import Connection, Database
from libs.errors import IDEMPOTENCY_KEY_REUSED, INVALID_PARAMETER, ApiError, Unavailable
from libs.identity import VALID_SECONDS
from services.ingest.idempotency import Attempt

PENDING: Final = Gauge("uploads_pending", "Records of uploads that have not ended, the same in every process")
OLDEST: Final = Gauge("uploads_pending_oldest_seconds", "Age of the oldest of uploads_pending, 0 for none")

_KEY_LIVES: Final = "idempotency_keys.created_at > now() - interval '24 hours'"
_Record = tuple[str, str, str, int, str, str | None, int | None]  # the arguments of `reserve`
_FIELDS = "image_id, user_id, width, height, file_size, created_at"
# Nothing where the account has as many as its limit ($7), or where an attempt is in the way and not dealt
# with ($8): that is looked for before the row of the account is locked, or two could wait for each other.
_RESERVE: Final = (
    "WITH account AS (INSERT INTO storage (account_id) SELECT $2 WHERE $8 OR NOT EXISTS (SELECT FROM images"
    "  WHERE request_id = $5 OR (status = 'pending' AND account_id = $2 AND idempotency_key = $6))"
    " ON CONFLICT (account_id) DO UPDATE SET images = storage.images RETURNING images, closed_at)"
    " INSERT INTO images (image_id, account_id, user_id, file_size, request_id, idempotency_key)"
    " SELECT $1, $2, $3, $4, $5, $6 FROM account"
    " WHERE closed_at IS NULL AND ($7::bigint IS NULL OR images < $7)"
)


class Image(msgspec.Struct, frozen=True):
    """A picture that is ready: `width` x `height` upright, `file_size` bytes as uploaded."""

    image_id: str
    user_id: str
    width: int
    height: int
    file_size: int
    created_at: datetime


class Stored(msgspec.Struct, frozen=True):
    """How much an account stores, uploads that are under way included."""

    images: int = 0
    bytes: int = 0


class LimitReached(Exception):
    """The account has as many pictures as it may."""


class AccountClosed(Exception):
    """The account was deleted while the upload was on its way."""


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
            cursor.created_at.astimezone(UTC)  # asyncpg does the same, where no calendar may end
        except (ValueError, OverflowError, binascii.Error, msgspec.DecodeError) as error:
            raise ApiError(INVALID_PARAMETER, "cursor must be a next_cursor of an earlier answer") from error
        if cursor.created_at.tzinfo is None or "\0" in cursor.image_id:
            raise ApiError(INVALID_PARAMETER, "cursor must be a next_cursor of an earlier answer")
        return cursor


def _image(row: asyncpg.Record) -> Image:
    return Image(*(row[field] for field in Image.__struct_fields__))


async def _take_key(connection: "Connection[Any]", account_id: str, attempt: Attempt, image_id: str) -> bool:
    """Whether the key was free, or its 24 hours were over."""
    status = await connection.execute(
        "INSERT INTO idempotency_keys (account_id, key, fingerprint, image_id) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (account_id, key) DO UPDATE"
        " SET fingerprint = excluded.fingerprint, image_id = excluded.image_id, created_at = now()"
        f" WHERE NOT {_KEY_LIVES}",
        account_id,
        attempt.key,
        attempt.fingerprint,
        image_id,
    )
    return bool(status.endswith(" 1"))


class Images:
    """The table `images`; every method is one statement or one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(
        self,
        image_id: str,
        account_id: str,
        user_id: str,
        file_size: int,
        request_id: str,
        *,
        key: str | None = None,
        limit: int | None = None,
    ) -> Image | None:
        """Insert a pending record; returns the picture instead where this very request made it already.

        An unfinished attempt of the same request, or with the same idempotency key, loses its claim: it can
        no longer become ready. Raises LimitReached where the account has `limit` pictures, `limit` being the
        plan's; those that are under way count. Raises AccountClosed.
        """
        record = (image_id, account_id, user_id, file_size, request_id, key, limit)
        try:
            # One statement, so that the lock on the account's row lasts no longer than the commit.
            with suppress(asyncpg.UniqueViolationError):
                if await self._database.execute(_RESERVE, *record, False) == "INSERT 0 1":
                    return None
            return await self._take_over(record)
        except asyncpg.UniqueViolationError as error:
            raise Unavailable(retry_seconds=1) from error  # other attempts of the same request are faster

    async def _take_over(self, record: _Record) -> Image | None:
        """Reserve where an attempt may be in the way, or the limit is reached."""
        _, account_id, _, _, request_id, key, _ = record
        async with self._database.connection() as connection, connection.transaction():
            row = await connection.fetchrow(
                f"SELECT {_FIELDS}, status FROM images WHERE request_id = $1 FOR UPDATE", request_id
            )
            if row and row["status"] == "ready":
                return _image(row)
            await connection.execute(
                "UPDATE images SET request_id = NULL, idempotency_key = NULL WHERE status = 'pending'"
                " AND (request_id = $1 OR (account_id = $2 AND idempotency_key = $3))",
                request_id,
                account_id,
                key,
            )
            if await connection.execute(_RESERVE, *record, True) != "INSERT 0 1":
                closed = await connection.fetchval(
                    "SELECT closed_at IS NOT NULL FROM storage WHERE account_id = $1", account_id
                )
                raise AccountClosed if closed else LimitReached
        return None

    async def finish(
        self, image_id: str, request_id: str, width: int, height: int, attempt: Attempt | None = None
    ) -> Image | None:
        """Make a pending record ready, its objects being stored, and take the idempotency key of `attempt`.

        None, and nothing changed, where another attempt was faster.
        """
        async with self._database.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            row = await connection.fetchrow(
                "UPDATE images SET status = 'ready', width = $3, height = $4, created_at = now(),"
                " idempotency_key = NULL"
                " WHERE image_id = $1 AND request_id = $2 AND status = 'pending'"
                f" RETURNING {_FIELDS}, account_id",
                image_id,
                request_id,
                width,
                height,
            )
            if row and (attempt is None or await _take_key(connection, row["account_id"], attempt, image_id)):
                await transaction.commit()
                return _image(row)
            await transaction.rollback()
        return None

    async def replay(self, account_id: str, attempt: Attempt) -> Image | None:
        """What a finished request with this key made.

        Raises IDEMPOTENCY_KEY_REUSED where that request asked for something else.
        """
        fields = ", ".join(f"images.{field}" for field in Image.__struct_fields__)
        row = await self._database.fetchrow(
            f"SELECT {fields}, fingerprint FROM idempotency_keys JOIN images USING (image_id)"
            f" WHERE idempotency_keys.account_id = $1 AND key = $2 AND {_KEY_LIVES}",
            account_id,
            attempt.key,
        )
        if row is None:
            return None
        if row["fingerprint"] != attempt.fingerprint:
            raise ApiError(IDEMPOTENCY_KEY_REUSED)
        return _image(row)

    async def close(self, account_id: str) -> None:
        """From now on nothing is reserved for the account, and what it did is forgotten."""
        await self._database.execute(
            "INSERT INTO storage (account_id, closed_at) VALUES ($1, now()) ON CONFLICT (account_id)"
            " DO UPDATE SET closed_at = coalesce(storage.closed_at, now())",
            account_id,
        )
        await usage.forget(self._database, account_id)

    async def forget_closed(self) -> None:
        """The last traces of accounts for which nobody can hold a valid identity any more."""
        rows = await self._database.fetch(
            "DELETE FROM storage WHERE images = 0 AND closed_at < now() - make_interval(secs => $1)"
            " RETURNING account_id",
            2 * VALID_SECONDS,
        )
        for row in rows:
            await usage.forget(self._database, row["account_id"])  # what other processes still wrote

    async def forget_old_keys(self) -> None:
        await self._database.execute(f"DELETE FROM idempotency_keys WHERE NOT {_KEY_LIVES}")

    async def count_pending(self) -> None:
        rows = await self._database.fetch(
            "SELECT count(*) AS pending,"
            " coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS oldest"
            " FROM images WHERE status = 'pending'"
        )
        PENDING.set(rows[0]["pending"])
        OLDEST.set(rows[0]["oldest"])

    async def abandon(self, image_id: str) -> None:
        """Remove a pending record that has no objects."""
        await self._database.execute(
            "DELETE FROM images WHERE image_id = $1 AND status = 'pending'", image_id
        )

    async def stored(self, account_id: str) -> Stored:
        row = await self._database.fetchrow(
            "SELECT images, bytes FROM storage WHERE account_id = $1", account_id
        )
        return Stored(row["images"], row["bytes"]) if row else Stored()

    async def find(self, account_id: str, image_id: str) -> Image | None:
        row = await self._database.fetchrow(
            f"SELECT {_FIELDS} FROM images WHERE image_id = $1 AND account_id = $2 AND status = 'ready'",
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
            f"SELECT {_FIELDS} FROM images WHERE {' AND '.join(conditions)}"
            " ORDER BY created_at DESC, image_id DESC LIMIT $2",
            *arguments,
        )
        images = [_image(row) for row in rows[:limit]]
        more = len(rows) > limit
        return images, Cursor(images[-1].created_at, images[-1].image_id) if more else None
