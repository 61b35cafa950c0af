"""The record of every upload, in a real PostgreSQL."""

import pytest

from libs.database import Database
from libs.errors import ApiError
from services.ingest.images import Cursor, Images

pytestmark = pytest.mark.anyio


async def ready(images: Images, number: int, account: str = "acct_a", user: str = "u") -> str:
    image_id = f"img_{number:016x}"
    assert await images.reserve(image_id, account, user, 10, f"r{number}") is None
    assert await images.finish(image_id, f"r{number}", 4, 3)
    return image_id


async def test_only_what_is_ready_is_seen(images: Images) -> None:
    await images.reserve("img_0000000000000001", "acct_a", "u", 10, "r1")
    assert await images.find("acct_a", "img_0000000000000001") is None
    assert await images.page("acct_a", None, 10, None) == ([], None)
    await images.finish("img_0000000000000001", "r1", 4, 3)
    found = await images.find("acct_a", "img_0000000000000001")
    assert found
    assert (found.user_id, found.width, found.height, found.file_size) == ("u", 4, 3, 10)


async def test_another_accounts_picture_is_not_there(images: Images) -> None:
    image_id = await ready(images, 1)
    assert await images.find("acct_b", image_id) is None
    assert await images.page("acct_b", None, 10, None) == ([], None)


async def test_pages_go_from_the_newest_to_the_oldest_and_miss_nothing(images: Images) -> None:
    made = [await ready(images, number, user=f"u{number % 2}") for number in range(1, 12)]
    seen: list[str] = []
    after: Cursor | None = None
    while True:
        page, following = await images.page("acct_a", None, 3, after)
        seen += [image.image_id for image in page]
        if following is None:
            break
        after = Cursor.parse(following.text())
    assert seen == made[::-1]
    page, _ = await images.page("acct_a", "u0", 100, None)
    assert [image.image_id for image in page] == made[1::2][::-1]


async def test_a_retry_of_a_finished_request_gets_its_picture_again(images: Images) -> None:
    image_id = await ready(images, 1)
    again = await images.reserve("img_00000000000000ff", "acct_a", "u", 10, "r1")
    assert again
    assert again.image_id == image_id
    assert await images.finish("img_00000000000000ff", "r1", 4, 3) is None


async def test_a_retry_of_an_unfinished_request_takes_its_place(images: Images) -> None:
    first, second = "img_0000000000000001", "img_0000000000000002"
    await images.reserve(first, "acct_a", "u", 10, "r1")
    assert await images.reserve(second, "acct_a", "u", 10, "r1") is None
    assert await images.finish(first, "r1", 4, 3) is None
    assert await images.finish(second, "r1", 4, 3)
    page, _ = await images.page("acct_a", None, 10, None)
    assert [image.image_id for image in page] == [second]


async def test_only_a_pending_record_can_be_abandoned(images: Images, database: Database) -> None:
    image_id = await ready(images, 1)
    await images.reserve("img_0000000000000002", "acct_a", "u", 10, "r2")
    await images.abandon("img_0000000000000002")
    await images.abandon(image_id)
    rows = await database.fetch("SELECT image_id FROM images")
    assert [row["image_id"] for row in rows] == [image_id]


@pytest.mark.parametrize("text", ["x", "!!!", "W10", "WyJub3cgIiwgImltZyJd", "é", "W251bGwsIG51bGxd"])
async def test_a_cursor_that_is_not_ours_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match="cursor must be"):
        Cursor.parse(text)


async def test_migrating_twice_changes_nothing(database: Database) -> None:
    await database.migrate()
    await database.migrate()
    await database.ready()
