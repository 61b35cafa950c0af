"""Deletes that hold: a tombstone on every nginx, no object left, and an outbox until both are sure.

docs/decisions/0006-deletes.md says why the order holds.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import msgspec
from prometheus_client import Gauge

from libs.database import Database, DatabaseUnavailable
from libs.errors import Unavailable
from libs.metrics import counter
from libs.objects import Objects
from libs.pictures import object_names
from services.ingest.edges import Edges, Told

PURGES: Final = counter(
    "deletion_purges_total", "Purges of a batch of pictures, by how they ended", end=("complete", "pending")
)
# The same in every process, which all count one table.
OUTBOX: Final = Gauge("deletions_outbox", "Rows of the outbox: deletes that are watched or not sure yet")
BACKLOG: Final = Gauge(
    "deletions_pending", "Deleted pictures that a node or the object store has yet to forget"
)
OLDEST: Final = Gauge(
    "deletions_pending_oldest_seconds", "Age of the oldest of deletions_pending, 0 for none"
)

WATCH_SECONDS: Final = 300  # a node that is born while this lasts hears of the delete
LEASE_SECONDS: Final = 30  # nobody else takes a row that was taken this lately; longer than one purge
REPEAT_SECONDS: Final = 5
ANSWER_SECONDS: Final = 20  # a deletion of a user that takes longer is answered with 202
ACCOUNT_SECONDS: Final = 4  # of an account: auth asks again until it is complete
MARK_BATCH: Final = 1000  # records that one statement takes
PURGE_BATCH: Final = 200  # pictures that one purge handles
AT_ONCE: Final = 8  # pictures whose objects are deleted side by side: 40 calls of the store

_DUE: Final = "now() + make_interval(secs => $1)"
_OVER: Final = f"requested_at < now() - interval '{WATCH_SECONDS} seconds'"


class Purged(msgspec.Struct):
    """What a delete has removed: `complete` where no node can serve the picture and no object is left."""

    objects: int = 0
    told: Told = msgspec.field(default_factory=Told)
    complete: bool = True


class Receipt(msgspec.Struct):
    """Of the deletion of everything of one user."""

    image_ids: list[str]
    purged: Purged


class Progress(msgspec.Struct):
    """Of the deletion of everything of an account: what is gone, and whether that is all."""

    images: int
    objects: int
    nodes: int
    complete: bool


class Deletions:
    """From a record to nothing."""

    def __init__(self, database: Database, objects: Objects, edges: Edges) -> None:
        self._database = database
        self._objects = objects
        self._edges = edges

    async def image(
        self, account_id: str | None, image_id: str, request_id: str | None = None
    ) -> Purged | None:
        """Delete one picture, an operator's account being None; None where there is none.

        `request_id` is nginx's: where the process that took this request died of it, this one goes on.
        """
        marked = await self._mark(
            "image_id = $4 AND status = 'ready' AND ($5::text IS NULL OR account_id = $5)",
            image_id,
            account_id,
            request_id=request_id,
        )
        if not marked and request_id:
            marked = await self._marked_by(request_id)
        return await self._purge(marked) if marked else None

    async def user(self, account_id: str, user_id: str, request_id: str) -> Receipt:
        """Delete every picture of a user, and end the uploads for the user that are under way."""
        deadline = asyncio.get_running_loop().time() + ANSWER_SECONDS
        # In this order, or an upload that becomes ready in between is missed.
        for status in ("pending", "ready"):
            condition = f"account_id = $4 AND user_id = $5 AND status = '{status}'"
            while await self._mark(condition, account_id, user_id, request_id=request_id):
                pass
        image_ids = await self._marked_by(request_id)
        purged = Purged()
        for start in range(0, len(image_ids), PURGE_BATCH):
            if asyncio.get_running_loop().time() > deadline:
                purged.complete = False  # the janitor finds the rest when its lease is over
                break
            batch = await self._purge(image_ids[start : start + PURGE_BATCH])
            purged.objects += batch.objects
            purged.told.add(batch.told)
            purged.complete &= batch.complete
        return Receipt(image_ids, purged)

    async def account(self, account_id: str, request_id: str) -> Progress:
        """Delete everything of an account that is closed already, or what ACCOUNT_SECONDS are enough for.

        To be asked again with the same `request_id` until it is complete.
        """
        deadline = asyncio.get_running_loop().time() + ACCOUNT_SECONDS
        for status in ("pending", "ready"):
            condition = f"account_id = $4 AND status = '{status}'"
            while await self._mark(condition, account_id, request_id=request_id):
                if asyncio.get_running_loop().time() > deadline:
                    return await self._progress(request_id, Purged(complete=False))
        purged, last = Purged(), ""
        while batch := await self._left(request_id, last):
            if asyncio.get_running_loop().time() > deadline:
                purged.complete = False
                break
            last = batch[-1]
            done = await self._purge(batch)
            purged.objects += done.objects
            purged.told.add(done.told)
            purged.complete &= done.complete
        return await self._progress(request_id, purged)

    async def _left(self, request_id: str, after: str) -> list[str]:
        rows = await self._database.fetch(
            "SELECT image_id FROM deletions WHERE request_id = $1 AND told_at IS NULL AND image_id > $2"
            " ORDER BY image_id LIMIT $3",
            request_id,
            after,
            PURGE_BATCH,
        )
        return [row["image_id"] for row in rows]

    async def _progress(self, request_id: str, purged: Purged) -> Progress:
        row = await self._database.fetchrow(
            "SELECT count(*) FROM deletions WHERE request_id = $1", request_id
        )
        images = row[0] if row else 0
        return Progress(images, purged.objects, len(purged.told.acknowledged), purged.complete)

    async def failed_upload(self, image_id: str) -> None:
        """Remove what an upload left that failed, unless its record became ready after all.

        That can be: of a COMMIT that was cut off nobody knows the end, so the record decides.
        The row of the outbox stays for the janitor, because a write that was given up may still land.
        """
        condition = "image_id = $4 AND status = 'pending'"
        if not await self._mark(condition, image_id, request_id=None) and await self._is_ready(image_id):
            return
        # Also of a record that is gone: the user was deleted while the objects were being written.
        await self._objects.delete(object_names(image_id))

    async def mark_stale(self, pending_seconds: float) -> int:
        """Take over the traces of uploads that never ended: their records name the objects."""
        condition = "status = 'pending' AND created_at < now() - make_interval(secs => $4)"
        return len(await self._mark(condition, pending_seconds, request_id=None, lease_seconds=0))

    async def retry_due(self) -> int:
        """Go on with what is not sure yet; returns how many pictures that were."""
        rows = await self._database.fetch(
            f"UPDATE deletions SET next_attempt_at = {_DUE} WHERE image_id IN"
            " (SELECT image_id FROM deletions WHERE next_attempt_at <= now()"
            f" ORDER BY next_attempt_at LIMIT {PURGE_BATCH} FOR UPDATE SKIP LOCKED)"
            # At the end once more: a write that the store took long over may have come after the delete.
            f" RETURNING image_id, objects_deleted_at IS NULL OR {_OVER} AS stored",
            LEASE_SECONDS,
        )
        for stored in (True, False):
            image_ids = [row["image_id"] for row in rows if row["stored"] is stored]
            if image_ids:
                await self._purge(image_ids, stored=stored)
        return len(rows)

    async def count_backlog(self) -> None:
        rows = await self._database.fetch(
            "SELECT count(*) AS outbox, count(*) FILTER (WHERE told_at IS NULL) AS pending, coalesce(extract("
            "epoch FROM now() - min(requested_at) FILTER (WHERE told_at IS NULL)), 0)::float8 AS oldest"
            " FROM deletions"
        )
        OUTBOX.set(rows[0]["outbox"])
        BACKLOG.set(rows[0]["pending"])
        OLDEST.set(rows[0]["oldest"])

    async def _mark(
        self, condition: str, *values: object, request_id: str | None, lease_seconds: float = LEASE_SECONDS
    ) -> list[str]:
        """The records become rows of the outbox, in one statement: the API knows nothing of them now.

        At most MARK_BATCH of them, locked in one order, which is that of the index of a user's pictures: in
        any other, PostgreSQL may read the whole table for each batch. `condition` has its values from $4 on.
        """
        rows = await self._database.fetch(
            "WITH gone AS (DELETE FROM images WHERE image_id IN (SELECT image_id FROM images"
            f" WHERE {condition} ORDER BY created_at DESC, image_id DESC LIMIT $3 FOR UPDATE)"
            " RETURNING image_id)"
            f" INSERT INTO deletions (image_id, next_attempt_at, request_id) SELECT image_id, {_DUE}, $2"
            " FROM gone ON CONFLICT (image_id) DO NOTHING RETURNING image_id",
            lease_seconds,
            request_id,
            MARK_BATCH,
            *values,
        )
        return [row["image_id"] for row in rows]

    async def _is_ready(self, image_id: str) -> bool:
        return await self._database.fetchrow("SELECT FROM images WHERE image_id = $1", image_id) is not None

    async def _marked_by(self, request_id: str) -> list[str]:
        rows = await self._database.fetch(
            "SELECT image_id FROM deletions WHERE request_id = $1 ORDER BY image_id", request_id
        )
        return [row["image_id"] for row in rows]

    async def _purge(self, image_ids: Sequence[str], *, stored: bool = True) -> Purged:
        """Tombstones hide the picture at once; its objects go, if they are `stored`; tombstones make it sure.

        The second ones are for a node that was not there at the first, or has lost them since.
        """
        told = await self._edges.tombstone(image_ids) if stored else Told()
        objects, deleted = await self._delete_objects(image_ids) if stored else (0, list(image_ids))
        told.add(await self._edges.tombstone(image_ids, but=told.hung))
        complete = len(deleted) == len(image_ids) and not told.hung
        PURGES.labels("complete" if complete else "pending").inc()
        # What is done is done: where PostgreSQL is away now, the rows are simply tried again.
        with suppress(DatabaseUnavailable):
            await self._settle(image_ids, deleted, all_told=not told.hung)
        return Purged(objects, told, complete)

    async def _delete_objects(self, image_ids: Sequence[str]) -> tuple[int, list[str]]:
        """How many objects were deleted, and of which pictures none is left.

        The first failure ends it: a store that hangs costs one time-out, not one for each picture.
        """
        objects = 0
        deleted: list[str] = []
        waiting = iter(image_ids)
        available = True

        async def work() -> None:
            nonlocal objects, available
            for image_id in waiting:
                if not available:
                    return
                try:
                    removed = await self._objects.delete(object_names(image_id))
                except Unavailable:
                    available = False
                else:
                    objects += removed
                    deleted.append(image_id)

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        return objects, deleted

    async def _settle(self, image_ids: Sequence[str], deleted: Sequence[str], *, all_told: bool) -> None:
        """What is sure is repeated ever more rarely until the watch is over, the rest soon."""
        await self._database.execute(
            "UPDATE deletions SET"
            " objects_deleted_at = CASE WHEN image_id = ANY($3) THEN coalesce(objects_deleted_at, now()) END,"
            " told_at = CASE WHEN $4 AND image_id = ANY($3) THEN coalesce(told_at, now()) END,"
            f" next_attempt_at = greatest({_DUE},"
            " CASE WHEN $4 AND image_id = ANY($3) THEN now() + (now() - requested_at) END)"
            " WHERE image_id = ANY($2)",
            REPEAT_SECONDS,
            image_ids,
            deleted,
            all_told,
        )
        if all_told:
            await self._database.execute(
                f"DELETE FROM deletions WHERE image_id = ANY($1) AND {_OVER}", deleted
            )
