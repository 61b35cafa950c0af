"""From a record to nothing: PostgreSQL, a folder of objects and nginx nodes, all real."""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

from libs.database import Database
from libs.errors import Unavailable
from libs.objects import Objects, Stored
from libs.pictures import object_names
from services.ingest import deletions as module
from services.ingest.deletions import AT_ONCE, BACKLOG, MARK_BATCH, PURGE_BATCH, Deletions, Progress, Receipt
from services.ingest.edges import Edges
from services.ingest.idempotency import Attempt
from services.ingest.images import AccountClosed, Images
from tests.faults.nodes import Node

pytestmark = pytest.mark.anyio

ACCOUNT: Final = "acct_a"
USER: Final = "Ada / 50% ünïcode"
Action = Callable[[], Awaitable[object]]


class Intercepted:
    """A store in which something happens before the first delete, such as a failure."""

    def __init__(self, objects: Objects, before: Action) -> None:
        self._objects = objects
        self._before = before
        self.deletes = 0

    async def put(self, name: str, data: bytes | Path, meta: Mapping[str, str]) -> None:
        await self._objects.put(name, data, meta)

    async def get(self, name: str) -> Stored | None:
        return await self._objects.get(name)

    async def head(self, name: str) -> dict[str, str] | None:
        return await self._objects.head(name)

    async def delete(self, names: Sequence[str]) -> int:
        self.deletes += 1
        await self._before()
        return await self._objects.delete(names)

    async def ready(self) -> None:
        await self._objects.ready()


class Crash(Exception):
    """Where a process is killed."""


async def crash() -> None:
    raise Crash


async def away() -> None:
    raise Unavailable


async def nothing() -> None:
    pass


@pytest.fixture
def upload(images: Images, objects: Objects) -> "Upload":
    return Upload(images, objects)


class Upload:
    """Makes pictures: a record, and objects of a byte each."""

    def __init__(self, images: Images, objects: Objects) -> None:
        self._images = images
        self._objects = objects
        self._number = 0

    async def __call__(
        self, user: str = USER, account: str = ACCOUNT, *, ready: bool = True, key: str | None = None
    ) -> str:
        self._number += 1
        image_id = f"img_{self._number:016x}"
        request_id = f"upload {self._number}"
        await self._images.reserve(image_id, account, user, 1, request_id)
        for name in object_names(image_id):
            await self._objects.put(name, b"x", {})
        attempt = Attempt(key, b"fingerprint") if key else None
        if ready:
            assert await self._images.finish(image_id, request_id, 1, 1, attempt)
        return image_id


async def stored(objects: Objects, image_id: str) -> int:
    """How many of its objects there are."""
    return sum([await objects.head(name) is not None for name in object_names(image_id)])


async def rows(database: Database, query: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await database.fetch(query)]


async def make_due(database: Database, seconds_old: float = 0) -> None:
    """As if the clock had moved."""
    await database.execute(
        "UPDATE deletions SET next_attempt_at = now(), requested_at = now() - make_interval(secs => $1)",
        seconds_old,
    )


async def test_a_deleted_picture_has_no_record_no_object_and_a_tombstone(
    deletions: Deletions, upload: Upload, images: Images, objects: Objects, node: Node
) -> None:
    image_id, other = await upload(), await upload()
    purged = await deletions.image(ACCOUNT, image_id)
    assert purged
    assert (purged.complete, purged.objects, purged.told.acknowledged) == (True, 5, {node.edge})
    assert await images.find(ACCOUNT, image_id) is None
    assert await stored(objects, image_id) == 0
    assert (node.tombstones / image_id).exists()
    assert await images.find(ACCOUNT, other)
    assert await stored(objects, other) == 5
    assert await deletions.image(ACCOUNT, image_id) is None


async def test_only_the_owner_and_an_operator_can_delete(
    deletions: Deletions, upload: Upload, images: Images, node: Node, database: Database
) -> None:
    image_id = await upload()
    (node.tombstones / image_id).unlink(missing_ok=True)
    assert await deletions.image("acct_b", image_id) is None
    assert not (node.tombstones / image_id).exists()
    assert await rows(database, "SELECT * FROM deletions") == []
    assert await images.find(ACCOUNT, image_id)
    assert await deletions.image(None, image_id)
    assert await images.find(ACCOUNT, image_id) is None


async def test_a_picture_that_is_not_ready_does_not_exist(deletions: Deletions, upload: Upload) -> None:
    assert await deletions.image(ACCOUNT, await upload(ready=False)) is None


async def test_a_user_is_forgotten_and_nobody_else(
    deletions: Deletions, upload: Upload, images: Images, objects: Objects, node: Node
) -> None:
    gone = [await upload(), await upload(ready=False), await upload()]
    others = [(ACCOUNT, await upload("somebody")), ("acct_b", await upload(USER, "acct_b"))]
    receipt = await deletions.user(ACCOUNT, USER, "r1")
    assert (receipt.image_ids, receipt.purged.objects, receipt.purged.complete) == (gone, 15, True)
    assert receipt.purged.told.acknowledged == {node.edge}
    assert [await stored(objects, image_id) for image_id in gone] == [0, 0, 0]
    for account, image_id in others:
        assert await images.find(account, image_id)
        assert await stored(objects, image_id) == 5


async def test_an_upload_that_is_under_way_for_the_user_can_not_become_ready(
    deletions: Deletions, upload: Upload, images: Images, objects: Objects
) -> None:
    image_id = await upload(ready=False)
    await deletions.user(ACCOUNT, USER, "r1")
    await objects.put(object_names(image_id)[0], b"late", {})
    assert await images.finish(image_id, "upload 1", 1, 1) is None
    await deletions.failed_upload(image_id)
    assert await stored(objects, image_id) == 0


async def test_a_user_without_pictures_has_an_empty_receipt(deletions: Deletions) -> None:
    assert (await deletions.user(ACCOUNT, "nobody", "r1")).image_ids == []
    receipt = await deletions.user(ACCOUNT, "nobody", "r1")
    assert (receipt.purged.objects, receipt.purged.complete) == (0, True)


async def test_no_table_names_the_user_afterwards(
    deletions: Deletions, upload: Upload, database: Database
) -> None:
    for key in "abc":
        await upload(key=key)
    await upload(ready=False)
    assert await _rows_with(database, USER) > 0
    await deletions.user(ACCOUNT, USER, "r1")
    assert await _rows_with(database, USER) == 0
    assert await rows(database, "SELECT * FROM idempotency_keys") == []


async def _rows_with(database: Database, text: str) -> int:
    """How many rows of all tables of the schema hold `text` in any column."""
    tables = await rows(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'ingest'")
    assert len(tables) >= 4
    found = 0
    for (table,) in tables:
        found += sum(text in str(row) for row in await rows(database, f"SELECT * FROM {table}"))
    return found


async def test_a_user_with_more_pictures_than_a_batch_is_forgotten_whole(
    deletions: Deletions, database: Database, node: Node
) -> None:
    count = 5 * PURGE_BATCH + 7  # more than one statement marks, too
    await database.execute(
        "INSERT INTO images (image_id, account_id, user_id, status, file_size)"
        " SELECT 'img_' || lpad(to_hex(n), 16, '0'), $1, $2, 'ready', 1 FROM generate_series(1, $3::int) n",
        ACCOUNT,
        USER,
        count,
    )
    receipt = await deletions.user(ACCOUNT, USER, "r1")
    assert len(set(receipt.image_ids)) == len(receipt.image_ids) == count
    assert receipt.purged.complete
    assert {path.name for path in node.tombstones.iterdir()} >= set(receipt.image_ids)
    assert await rows(database, "SELECT count(*) FROM images") == [(0,)]


async def test_deletions_of_one_user_at_the_same_time_leave_nothing(
    deletions: Deletions, upload: Upload, objects: Objects, database: Database
) -> None:
    made = [await upload() for _ in range(30)]
    receipts = await asyncio.gather(*(deletions.user(ACCOUNT, USER, f"r{n}") for n in range(4)))
    assert sorted(image_id for receipt in receipts for image_id in receipt.image_ids) == made
    assert sum([await stored(objects, image_id) for image_id in made]) == 0
    assert await rows(database, "SELECT count(*) FROM images") == [(0,)]


async def test_the_tombstone_is_there_before_the_first_object_goes(
    database: Database, objects: Objects, edges: Edges, upload: Upload, node: Node
) -> None:
    image_id = await upload()
    (node.tombstones / image_id).unlink(missing_ok=True)
    seen: list[bool] = []

    async def look() -> None:
        seen.append((node.tombstones / image_id).exists())

    assert await Deletions(database, Intercepted(objects, look), edges).image(ACCOUNT, image_id)
    assert seen == [True]


async def test_a_node_that_is_replaced_meanwhile_has_the_tombstone_all_the_same(
    database: Database, objects: Objects, edges: Edges, upload: Upload, node: Node
) -> None:
    """Its address is the same, its disk is not."""
    image_id = await upload()

    async def replace() -> None:
        (node.tombstones / image_id).unlink()

    assert await Deletions(database, Intercepted(objects, replace), edges).image(ACCOUNT, image_id)
    assert (node.tombstones / image_id).exists()


async def test_a_node_that_is_down_is_no_reason_to_wait(
    database: Database, objects: Objects, both_edges: Edges, upload: Upload, node: Node, other_node: Node
) -> None:
    image_id = await upload()
    with other_node.down():
        purged = await Deletions(database, objects, both_edges).image(ACCOUNT, image_id)
    assert purged
    assert (purged.complete, purged.told.acknowledged) == (True, {node.edge})
    assert purged.told.refused == {other_node.edge}


async def test_a_node_that_hangs_is_told_when_it_is_back(
    database: Database, objects: Objects, both_edges: Edges, upload: Upload, node: Node, other_node: Node
) -> None:
    deletions = Deletions(database, objects, both_edges)
    image_id = await upload()
    with other_node.hung():
        purged = await deletions.image(ACCOUNT, image_id)
        assert purged
        assert (purged.complete, purged.objects, purged.told.hung) == (False, 5, {other_node.edge})
        assert (node.tombstones / image_id).exists()
        await make_due(database)
        assert await deletions.retry_due() == 1
        await deletions.count_backlog()
        assert [sample.value for metric in BACKLOG.collect() for sample in metric.samples] == [1]
    await make_due(database)
    assert await deletions.retry_due() == 1
    assert (other_node.tombstones / image_id).exists()
    assert await rows(database, "SELECT count(*) FROM deletions WHERE told_at IS NULL") == [(0,)]


async def test_a_store_that_is_away_is_asked_again(
    deletions: Deletions, upload: Upload, objects: Objects, database: Database, tmp_path: Path, node: Node
) -> None:
    image_id = await upload()
    (tmp_path / "objects" / "incoming").rename(tmp_path / "unmounted")
    purged = await deletions.image(ACCOUNT, image_id)
    assert purged
    assert (purged.complete, purged.objects) == (False, 0)
    assert (node.tombstones / image_id).exists()
    (tmp_path / "unmounted").rename(tmp_path / "objects" / "incoming")
    await make_due(database)
    assert await deletions.retry_due() == 1
    assert await stored(objects, image_id) == 0
    assert await rows(database, "SELECT count(*) FROM deletions WHERE told_at IS NULL") == [(0,)]


async def test_a_store_that_is_away_is_not_asked_for_every_picture(
    database: Database, objects: Objects, edges: Edges, upload: Upload
) -> None:
    for _ in range(3 * AT_ONCE):
        await upload()
    store = Intercepted(objects, away)
    receipt = await Deletions(database, store, edges).user(ACCOUNT, USER, "r1")
    assert not receipt.purged.complete
    assert store.deletes <= AT_ONCE


async def test_one_failure_of_the_store_keeps_no_other_picture(
    database: Database, objects: Objects, edges: Edges, upload: Upload
) -> None:
    made = [await upload() for _ in range(2 * AT_ONCE)]
    failures = iter([away])

    async def fail_once() -> None:
        await next(failures, nothing)()

    deletions = Deletions(database, Intercepted(objects, fail_once), edges)
    assert not (await deletions.user(ACCOUNT, USER, "r1")).purged.complete
    await make_due(database)
    await deletions.retry_due()
    assert sum([await stored(objects, image_id) for image_id in made]) == 0
    assert await rows(database, "SELECT count(*) FROM deletions WHERE told_at IS NULL") == [(0,)]


async def test_a_delete_that_nginx_sends_again_is_finished_and_answers_the_same(
    database: Database, objects: Objects, edges: Edges, upload: Upload
) -> None:
    """The process that took it died on the way; another client's delete of the same id is a 404."""
    image_id = await upload()
    with pytest.raises(Crash):
        await Deletions(database, Intercepted(objects, crash), edges).image(ACCOUNT, image_id, "r1")
    survivor = Deletions(database, objects, edges)
    assert await survivor.image(ACCOUNT, image_id, "r2") is None
    purged = await survivor.image(ACCOUNT, image_id, "r1")
    assert purged
    assert (purged.complete, purged.objects) == (True, 5)


async def test_a_deletion_of_a_user_that_nginx_sends_again_has_the_whole_receipt(
    database: Database, objects: Objects, edges: Edges, upload: Upload
) -> None:
    made = [await upload() for _ in range(3)]
    with pytest.raises(Crash):
        await Deletions(database, Intercepted(objects, crash), edges).user(ACCOUNT, USER, "r1")
    receipt: Receipt = await Deletions(database, objects, edges).user(ACCOUNT, USER, "r1")
    assert (receipt.image_ids, receipt.purged.objects, receipt.purged.complete) == (made, 15, True)


async def test_a_delete_whose_process_died_is_finished_by_the_janitor(
    database: Database, objects: Objects, edges: Edges, upload: Upload, node: Node
) -> None:
    image_id = await upload()
    (node.tombstones / image_id).unlink(missing_ok=True)
    with contextlib.suppress(Crash):
        await Deletions(database, Intercepted(objects, crash), edges).image(ACCOUNT, image_id)
    survivor = Deletions(database, objects, edges)
    assert await survivor.retry_due() == 0  # the lease of the dead
    await make_due(database)
    assert await survivor.retry_due() == 1
    assert await stored(objects, image_id) == 0
    assert (node.tombstones / image_id).exists()


async def test_what_is_done_is_answered_although_postgres_has_gone_away(
    database: Database, objects: Objects, edges: Edges, upload: Upload
) -> None:
    image_id = await upload()

    async def break_outbox() -> None:
        await database.execute("ALTER TABLE deletions RENAME TO elsewhere")

    purged = await Deletions(database, Intercepted(objects, break_outbox), edges).image(ACCOUNT, image_id)
    assert purged
    assert purged.complete


async def test_nodes_are_told_again_and_ever_more_rarely_until_the_watch_is_over(
    deletions: Deletions, upload: Upload, database: Database, node: Node
) -> None:
    image_id = await upload()
    assert await deletions.image(ACCOUNT, image_id)
    for age in (0, 5, 40, 160):
        await make_due(database, age)
        (node.tombstones / image_id).unlink()
        assert await deletions.retry_due() == 1
        assert (node.tombstones / image_id).exists()
        ((seconds,),) = await rows(
            database, "SELECT extract(epoch FROM next_attempt_at - now()) FROM deletions"
        )
        assert max(5, age) - 2 < float(str(seconds)) < max(5, age) + 2
    await make_due(database, 301)
    assert await deletions.retry_due() == 1
    assert await rows(database, "SELECT * FROM deletions") == []


async def test_a_write_that_the_store_took_long_over_is_deleted_when_the_watch_is_over(
    deletions: Deletions, upload: Upload, database: Database, objects: Objects
) -> None:
    image_id = await upload()
    assert await deletions.image(ACCOUNT, image_id)
    await objects.put(object_names(image_id)[1], b"late", {})
    await make_due(database, 301)
    await deletions.retry_due()
    assert await stored(objects, image_id) == 0


async def test_the_watch_does_not_end_while_a_node_hangs(
    database: Database, objects: Objects, both_edges: Edges, upload: Upload, other_node: Node
) -> None:
    deletions = Deletions(database, objects, both_edges)
    image_id = await upload()
    assert await deletions.image(ACCOUNT, image_id)
    await make_due(database, 10_000)
    with other_node.hung():
        await deletions.retry_due()
    assert await rows(database, "SELECT image_id, told_at FROM deletions") == [(image_id, None)]


async def test_a_failed_upload_leaves_nothing(
    deletions: Deletions, upload: Upload, objects: Objects, database: Database
) -> None:
    image_id = await upload(ready=False)
    await deletions.failed_upload(image_id)
    assert await stored(objects, image_id) == 0
    assert await rows(database, "SELECT * FROM images") == []


async def test_an_upload_that_did_not_hear_of_its_commit_keeps_its_picture(
    deletions: Deletions, upload: Upload, objects: Objects, images: Images
) -> None:
    image_id = await upload()
    await deletions.failed_upload(image_id)
    assert await stored(objects, image_id) == 5
    assert await images.find(ACCOUNT, image_id)


async def test_uploads_that_never_ended_are_taken_over_with_their_objects(
    deletions: Deletions, upload: Upload, objects: Objects, images: Images, database: Database
) -> None:
    stale, ready = await upload(ready=False), await upload()
    await database.execute("UPDATE images SET created_at = now() - interval '301 seconds'")
    young = await upload(ready=False)
    assert await deletions.mark_stale(300) == 1
    assert await deletions.retry_due() == 1
    assert [await stored(objects, image_id) for image_id in (stale, ready, young)] == [0, 5, 5]
    assert await images.find(ACCOUNT, ready)


async def test_an_account_is_emptied_and_nobody_else(
    deletions: Deletions, upload: Upload, images: Images, objects: Objects, node: Node
) -> None:
    gone = [await upload("ada"), await upload("grace"), await upload("ada", ready=False)]
    kept = await upload(account="acct_b")
    await images.close(ACCOUNT)
    progress = await deletions.account(ACCOUNT, "r1")
    assert progress == Progress(images=3, objects=15, nodes=1, complete=True)
    assert [await stored(objects, image_id) for image_id in gone] == [0, 0, 0]
    assert {path.name for path in node.tombstones.iterdir()} >= set(gone)
    assert await images.find("acct_b", kept)
    assert await deletions.account(ACCOUNT, "r1") == Progress(images=3, objects=0, nodes=0, complete=True)


async def test_a_closed_account_reserves_nothing_more(images: Images, upload: Upload) -> None:
    await upload()
    await images.close(ACCOUNT)
    await images.close("acct_new")
    for account in (ACCOUNT, "acct_new"):
        with pytest.raises(AccountClosed):
            await images.reserve("img_00000000000000ff", account, USER, 1, "late")
    await upload(account="acct_b")


async def test_of_uploads_and_a_closure_at_the_same_time_nothing_is_left(
    images: Images, deletions: Deletions, database: Database
) -> None:
    numbers = itertools.count()

    async def upload() -> None:
        for number in itertools.islice(numbers, 300):
            await images.reserve(f"img_{number:016x}", ACCOUNT, USER, 1, f"r{number}")
            await images.finish(f"img_{number:016x}", f"r{number}", 1, 1)

    async def close() -> None:
        while not await images.find(ACCOUNT, f"img_{20:016x}"):  # noqa: ASYNC110 in the middle of it
            await asyncio.sleep(0)
        await images.close(ACCOUNT)
        await deletions.account(ACCOUNT, "closure")

    ends = await asyncio.gather(*(upload() for _ in range(5)), close(), return_exceptions=True)
    assert [type(end) for end in ends] == [AccountClosed] * 5 + [type(None)]
    assert await rows(database, "SELECT * FROM images") == []
    assert await rows(database, "SELECT * FROM deletions") != []


async def test_an_account_that_takes_too_long_is_emptied_in_steps(
    deletions: Deletions, database: Database, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 2 * MARK_BATCH + 7
    await database.execute(
        "INSERT INTO images (image_id, account_id, user_id, status, file_size)"
        " SELECT 'img_' || lpad(to_hex(n), 16, '0'), $1, $2, 'ready', 1 FROM generate_series(1, $3::int) n",
        ACCOUNT,
        USER,
        count,
    )
    await images.close(ACCOUNT)
    monkeypatch.setattr(module, "ACCOUNT_SECONDS", 0)
    steps = 0
    while not (progress := await deletions.account(ACCOUNT, "r1")).complete:
        steps += 1
        assert steps < 20
        if progress.images == count:
            monkeypatch.setattr(module, "ACCOUNT_SECONDS", 60)
    assert steps >= 3
    assert progress.images == count
    assert await rows(database, "SELECT count(*) FROM images") == [(0,)]
    assert await rows(database, "SELECT count(*) FROM deletions WHERE told_at IS NULL") == [(0,)]


async def test_an_account_whose_purge_was_cut_off_is_emptied_by_the_next_who_is_asked(
    database: Database, objects: Objects, edges: Edges, upload: Upload, images: Images
) -> None:
    made = [await upload() for _ in range(3)]
    await images.close(ACCOUNT)
    with pytest.raises(Crash):
        await Deletions(database, Intercepted(objects, crash), edges).account(ACCOUNT, "r1")
    storeless = Deletions(database, Intercepted(objects, away), edges)
    assert not (await storeless.account(ACCOUNT, "r1")).complete
    progress = await Deletions(database, objects, edges).account(ACCOUNT, "r1")
    assert progress == Progress(images=3, objects=15, nodes=1, complete=True)
    assert [await stored(objects, image_id) for image_id in made] == [0, 0, 0]


async def test_an_account_is_not_empty_while_a_node_hangs(
    database: Database, objects: Objects, both_edges: Edges, upload: Upload, images: Images, other_node: Node
) -> None:
    deletions = Deletions(database, objects, both_edges)
    await upload()
    await images.close(ACCOUNT)
    with other_node.hung():
        assert not (await deletions.account(ACCOUNT, "r1")).complete
    assert (await deletions.account(ACCOUNT, "r1")).complete


async def test_the_last_trace_of_a_closed_account_goes_when_no_identity_of_it_is_valid(
    images: Images, upload: Upload, database: Database, deletions: Deletions
) -> None:
    await upload()
    await upload(account="acct_b")
    await images.close(ACCOUNT)
    await deletions.account(ACCOUNT, "r1")
    await images.forget_closed()
    assert await rows(database, "SELECT account_id FROM storage ORDER BY 1") == [(ACCOUNT,), ("acct_b",)]
    await database.execute("UPDATE storage SET closed_at = closed_at - interval '31 minutes'")
    await database.execute("INSERT INTO usage VALUES ($1, current_date, 'images', 1)", ACCOUNT)
    await images.forget_closed()
    assert await rows(database, "SELECT account_id FROM storage") == [("acct_b",)]
    assert await rows(database, "SELECT * FROM usage") == []
