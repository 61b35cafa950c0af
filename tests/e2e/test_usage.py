"""What an account is told of itself: what it stores, what is left of its plan, and what it did."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import httpx2
import pytest

from tests import pictures
from tests.e2e import calls
from tests.e2e.calls import refusal
from tests.e2e.dashboard import Account, Browser, sign_up
from tests.stack import Stack, wait_for

PICTURE: Final = pictures.jpeg(60, 40)
NOTHING: Final = {"uploads": 0, "images": 0, "bytes": 0, "deleted": 0, "calls": 0, "refused": {}}


@pytest.fixture
def account(stack: Stack) -> Account:
    return sign_up(stack)


@pytest.fixture
def api(stack: Stack, account: Account) -> Iterator[httpx2.Client]:
    with calls.client(stack, account.key) as client:
        yield client


@pytest.fixture
def browser(stack: Stack, account: Account) -> Iterator[Browser]:
    """The dashboard, which looks without being counted."""
    with Browser(stack, account.key) as browser:
        yield browser


def today() -> date:
    return datetime.now(UTC).date()


def total(browser: Browser) -> dict[str, Any]:
    answer = browser.get("/v1/usage")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["total"]
    return found


def wait_for_total(browser: Browser, **expected: object) -> None:
    """Until that is written, and nothing else."""
    found: list[dict[str, Any]] = []

    def reached() -> bool:
        found[:] = [total(browser)]
        return found == [NOTHING | expected]

    try:
        wait_for(reached)
    except TimeoutError:
        assert found == [NOTHING | expected]


def test_the_account_tells_what_it_stores_and_what_is_left(stack: Stack, api: httpx2.Client) -> None:
    before = api.get("/v1/account").json()
    assert before["limits"]["images"] == 1000
    assert (before["used"], before["left"]["images"]) == ({"images": 0, "bytes": 0}, 1000)
    made = [calls.upload(api, PICTURE)["image_id"] for _ in range(3)]
    api.delete(f"/v1/images/{made[0]}")
    after = api.get("/v1/account").json()
    assert after["used"] == {"images": 2, "bytes": 2 * len(PICTURE)}
    assert after["left"]["images"] == 998


def test_an_unlimited_plan_has_no_number_of_images(stack: Stack) -> None:
    with calls.client(stack, stack.create_account("unlimited")) as api:
        body = api.get("/v1/account").json()
    assert (body["limits"]["images"], body["left"]["images"], body["used"]["images"]) == (None, None, 0)


def test_the_day_holds_what_was_done_on_it(api: httpx2.Client, browser: Browser) -> None:
    keyed = {"Idempotency-Key": "k"}
    for _ in range(2):
        files = {"image": ("a.jpg", PICTURE)}
        answer = api.post("/v1/upload", data={"user_id": "ada"}, files=files, headers=keyed)
        assert answer.status_code == 200
    other = calls.upload(api, PICTURE, "grace")["image_id"]
    assert api.delete(f"/v1/images/{other}").status_code == 200
    assert api.delete("/v1/users/ada").status_code == 200
    wait_for_total(browser, uploads=3, images=2, bytes=2 * len(PICTURE), deleted=2, calls=5)
    days = browser.get("/v1/usage").json()
    assert (days["from"], days["to"]) == (str(today() - timedelta(days=29)), str(today()))
    assert [day["date"] for day in days["days"]] == [
        str(today() - timedelta(days=back)) for back in range(29, -1, -1)
    ]
    assert days["days"][-1] == {"date": str(today())} | days["total"]
    assert days["days"][0] == {"date": str(today() - timedelta(days=29))} | NOTHING


def test_refusals_count_by_code_whoever_refuses(
    stack: Stack, account: Account, api: httpx2.Client, browser: Browser
) -> None:
    broken = {"image": ("a.jpg", PICTURE[:99])}
    assert api.post("/v1/upload", data={"user_id": "u"}, files=broken).status_code == 400
    assert api.get(f"/v1/images/{calls.NOWHERE}").status_code == 404
    assert api.delete("/v1/keys/key_0000000000000000").status_code == 404
    statuses = [api.get("/v1/images").status_code for _ in range(40)]
    limited = statuses.count(429)
    assert limited
    wait_for_total(
        browser,
        calls=43,
        refused={
            "IMAGE_NOT_FOUND": 1,
            "INVALID_IMAGE_FORMAT": 1,
            "KEY_NOT_FOUND": 1,
            "RATE_LIMIT_EXCEEDED": limited,
        },
    )


def test_the_owner_sees_that_a_revoked_or_expired_key_is_still_tried(
    stack: Stack, account: Account, browser: Browser
) -> None:
    made = browser.post("/v1/keys", json={"name": "leaked"}).json()
    assert browser.delete(f"/v1/keys/{made['key']['id']}").status_code == 200
    with calls.client(stack, made["api_key"]) as thief:
        for _ in range(3):
            assert refusal(thief.get("/v1/images")) == (401, "INVALID_API_KEY")
    wait_for_total(browser, calls=3, refused={"INVALID_API_KEY": 3})


def test_the_dashboard_counts_where_it_uploads_and_nowhere_else(browser: Browser) -> None:
    for path in ("/v1/account", "/v1/images", "/v1/keys", f"/v1/images/{calls.NOWHERE}"):
        browser.get(path)
    files = {"image": ("a.jpg", PICTURE)}
    assert browser.post("/v1/upload", data={"user_id": "u"}, files=files).status_code == 200
    wait_for_total(browser, uploads=1, images=1, bytes=len(PICTURE), calls=1)


def test_accounts_see_their_own_numbers_only(api: httpx2.Client, stack: Stack) -> None:
    calls.upload(api, PICTURE)
    stranger = sign_up(stack)
    with Browser(stack, stranger.key) as browser:
        assert total(browser) == NOTHING


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ({"from": "2026-01-31", "to": "2026-01-31"}, 1),
        ({"from": "2025-01-01", "to": "2026-01-01"}, 366),
        ({"to": "2024-02-29"}, 30),
        ({"from": "", "to": ""}, 30),
        ({"to": "0001-01-02"}, 2),
    ],
)
def test_any_days_can_be_asked_for(api: httpx2.Client, query: dict[str, str], days: int) -> None:
    answer = api.get("/v1/usage", params=query).json()
    assert len(answer["days"]) == days
    assert answer["days"][-1]["date"] == answer["to"]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"from": "2026-02-01", "to": "2026-01-31"}, "from"),
        ({"from": "2025-01-01", "to": "2026-01-02"}, "366"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-1-1"}, "from"),
        ({"to": "2026-02-30"}, "to"),
        ({"to": "٢٠٢٦-01-01"}, "to"),
        ({"to": "20260101"}, "to"),
        ({"from": "9999-12-31"}, "from"),
    ],
)
def test_days_that_do_not_exist_are_refused(api: httpx2.Client, query: dict[str, str], told: str) -> None:
    answer = api.get("/v1/usage", params=query)
    assert refusal(answer) == (400, "INVALID_PARAMETER")
    assert told in answer.json()["error"]["details"]
