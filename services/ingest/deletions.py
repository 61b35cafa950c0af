"""Deletes that hold: a tombstone on every nginx, no object left, and an outbox until both are sure."""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec
from prometheus_client import Counter, Gauge

from libs.database import Database
from libs.errors import Unavailable
from libs.objects import Objects
from libs.pictures import object_names
from services.ingest.edges import Edges, Told

PURGES: Final = Counter("deletion_purges_total", "Purges of a batch of pictures, by how they ended", ["end"])
BACKLOG: Final = Gauge(
    "deletions_pending", "Deleted pictures that a node or the object store has yet to forget"
)

WATCH_SECONDS: Final = 300  # a node that is born while this lasts hears of the delete
LEASE_SECONDS: Final = 30  # nobody else takes a row that was taken this lately
REPEAT_SECONDS: Final = 5
BATCH: Final = 200  # pictures that one purge handles

_DUE: Final = "now() + make_interval(secs => $1)"


class Purged(msgspec.Struct):
    """What a delete has removed: `complete` where no node can serve the picture and no object is left."""

    objects: int = 0
    told: Told = msgspec.field(default_factory=Told)
    complete: bool = True


class Receipt(msgspec.Struct):
    """Of the deletion of everything of one user."""

    image_ids: list[str]
    purged: Purged


class Deletions:
    """From a record to nothing."""

    def __init__(self, database: Database, objects: Objects, edges: Edges) -> None:
        self._database = database
        self._objects = objects
        self._edges = edges

    async def image(self, account_id: str | None, image_id: str) -> Purged | None:
        """Delete one picture, an operator's account being None; answers None where there is none."""
        marked = await self._mark(
            "image_id = $2 AND status = 'ready' AND ($3::text IS NULL OR account_id = $3)",
            image_id,
            account_id,
        )
        return await self._purge(marked) if marked else None

    async def user(self, account_id: str, user_id: str) -> Receipt:
        """Delete every picture of a user, and end the uploads for the user that are under way."""
        marked = await self._mark("account_id = $2 AND user_id = $3", account_id, user_id)
        purged = Purged()
        for start in range(0, len(marked), BATCH):
            batch = await self._purge(marked[start : start + BATCH])
            purged.objects += batch.objects
            purged.told.add(batch.told)
            purged.complete &= batch.complete
        return Receipt(marked, purged)

    async def failed_upload(self, image_id: str) -> None:
        """Remove what an upload left that failed, unless its record became ready after all.

        That can be: of a COMMIT that was cut off nobody knows the end, so the record decides, in one statement.
        The row of the outbox stays for the janitor, because a write that was given up may still land.
        """
        if await self._mark("image_id = $2 AND status = 'pending'", image_id):
            await self._objects.delete(object_names(image_id))

    async def mark_stale(self, pending_seconds: float) -> int:
        """Take over the traces of uploads that never ended: their records name the objects."""
        marked = await self._mark(
            "status = 'pending' AND created_at < now() - make_interval(secs => $2)", pending_seconds, lease=0
        )
        return len(marked)

    async def retry_due(self) -> int:
        """Go on with what is not sure yet; returns how many pictures that were."""
        rows = await self._database.fetch(
            f"UPDATE deletions SET next_attempt_at = {_DUE} WHERE image_id IN"
            " (SELECT image_id FROM deletions WHERE next_attempt_at <= now()"
            f" ORDER BY next_attempt_at LIMIT {BATCH} FOR UPDATE SKIP LOCKED) RETURNING image_id",
            LEASE_SECONDS,
        )
        if rows:
            await self._purge([row["image_id"] for row in rows])
        return len(rows)

    async def count_backlog(self) -> None:
        row = await self._database.fetchrow("SELECT count(*) FROM deletions WHERE objects_deleted_at IS NULL")
        BACKLOG.set(row[0] if row else 0)

    async def _mark(self, condition: str, *values: object, lease: float = LEASE_SECONDS) -> list[str]:
        """The records become rows of the outbox, in one statement: the API knows nothing of them now."""
        rows = await self._database.fetch(
            f"WITH gone AS (DELETE FROM images WHERE {condition} RETURNING image_id)"
            f" INSERT INTO deletions (image_id, next_attempt_at) SELECT image_id, {_DUE} FROM gone"
            " ON CONFLICT (image_id) DO NOTHING RETURNING image_id",
            lease,
            *values,
        )
        return [row["image_id"] for row in rows]

    async def _purge(self, image_ids: Sequence[str]) -> Purged:
        """Tombstones hide the picture at once; objects go; nodes that came up meanwhile are told."""
        told = await self._edges.tombstone(image_ids)
        objects, complete = await self._delete_objects(image_ids)
        told.add(await self._edges.tombstone(image_ids, but=told.acknowledged))
        complete = complete and not told.hung
        PURGES.labels("complete" if complete else "pending").inc()
        await self._settle(image_ids, complete)
        return Purged(objects, told, complete)

    async def _delete_objects(self, image_ids: Sequence[str]) -> tuple[int, bool]:
        ends = await asyncio.gather(
            *(self._objects.delete(object_names(image_id)) for image_id in image_ids), return_exceptions=True
        )
        unexpected = [
            end for end in ends if isinstance(end, BaseException) and not isinstance(end, Unavailable)
        ]
        if unexpected:
            raise unexpected[0]
        deleted = [end for end in ends if isinstance(end, int)]
        return sum(deleted), len(deleted) == len(ends)

    async def _settle(self, image_ids: Sequence[str], complete: bool) -> None:
        """Where PostgreSQL is away now, the row is simply tried again: every step can be repeated."""
        await self._database.execute(
            f"UPDATE deletions SET next_attempt_at = {_DUE},"
            " objects_deleted_at = CASE WHEN $3 THEN coalesce(objects_deleted_at, now()) END"
            " WHERE image_id = ANY($2)",
            REPEAT_SECONDS,
            image_ids,
            complete,
        )
        await self._database.execute(
            "DELETE FROM deletions WHERE image_id = ANY($1) AND objects_deleted_at IS NOT NULL"
            " AND requested_at < now() - make_interval(secs => $2)",
            image_ids,
            WATCH_SECONDS,
        )
