"""From the first visit to a picture with a URL."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
import pyvips
from playwright.sync_api import expect

from tests import pictures, programs
from tests.dashboard.conftest import MakeVisitor
from tests.dashboard.visitor import Visitor
from tests.e2e import calls
from tests.programs import program
from tests.stack import Stack

MIB = 1024 * 1024
RUN_SECONDS = 60
RUNNERS: dict[str, Callable[[], list[str]]] = {
    "curl": lambda: [program("curl") and "sh", "-eu"],
    "Python": lambda: [sys.executable],
    "Ruby": lambda: programs.ruby("httparty"),
    "Node": lambda: [program("node")],
    "PHP": programs.php,
}
TIMES = "\N{MULTIPLICATION SIGN}"


@pytest.fixture
def cdn(stack: Stack) -> Iterator[httpx2.Client]:
    with calls.client(stack) as client:
        yield client


def test_signing_up_shows_a_key_that_works_at_once(visitor: Visitor, stack: Stack) -> None:
    key = visitor.sign_up()
    with calls.client(stack, key) as api:
        assert api.get("/v1/images").json()["images"] == []
    expect(visitor.page.get_by_role("heading", name="Hello, Ada's application")).to_be_visible()


def test_the_key_is_shown_this_once(visitor: Visitor) -> None:
    key = visitor.sign_up()
    expect(visitor.page.get_by_role("tabpanel")).to_contain_text(f"Authorization: Bearer {key}")
    visitor.page.reload()
    expect(visitor.page.get_by_role("tabpanel")).to_contain_text("Authorization: Bearer YOUR_API_KEY")
    assert key not in visitor.page.content()


def test_who_has_the_key_can_put_it_out_of_sight(visitor: Visitor) -> None:
    key = visitor.sign_up()
    visitor.page.get_by_role("button", name="I have it").click()
    expect(visitor.page.locator("h1")).to_be_focused()
    visitor.visit("keys")
    assert key not in visitor.page.content()


def test_a_key_is_nowhere_but_in_the_page(visitor: Visitor, stack: Stack) -> None:
    key = visitor.sign_up()
    visitor.visit("settings")
    kept = visitor.page.evaluate(
        "JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])"
    )
    assert key not in kept
    for request in visitor.requests:
        assert key not in request.url
        assert not request.headers.get("referer")
    assert key not in "".join(path.read_text() for path in (stack.state.home / "log").glob("nginx-*.log"))


@pytest.mark.parametrize("language", RUNNERS)
def test_a_sample_uploads_a_picture_as_it_is_copied(
    visitor: Visitor, cdn: httpx2.Client, picture: Path, tmp_path: Path, language: str
) -> None:
    visitor.sign_up()
    visitor.page.get_by_role("tab", name=language).click()
    file = tmp_path / f"sample{'.mjs' if language == 'Node' else ''}"
    file.write_text(visitor.page.get_by_role("tabpanel").inner_text())
    shutil.copy(picture, tmp_path / "avatar.jpg")
    done = subprocess.run(
        [*RUNNERS[language](), file.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [image_id] = set(re.findall("img_[0-9a-f]{16}", done.stdout))
    assert cdn.get(f"/{image_id}").headers["content-type"] == "image/jpeg"


def test_the_tabs_of_the_samples_follow_the_arrow_keys(visitor: Visitor) -> None:
    visitor.sign_up()
    visitor.page.get_by_role("tab", name="curl").focus()
    visitor.page.keyboard.press("ArrowRight")
    expect(visitor.page.get_by_role("tab", name="Python")).to_be_focused()
    expect(visitor.page.get_by_role("tabpanel")).to_contain_text("import requests")


def test_a_dropped_picture_is_there_at_once_with_its_url(
    visitor: Visitor, cdn: httpx2.Client, picture: Path
) -> None:
    visitor.sign_up()
    [row] = visitor.upload(picture).all()
    shown = row.get_by_role("img")
    expect(shown).to_be_visible()
    visitor.settle()
    assert shown.evaluate("(image) => image.naturalWidth") == 240
    url = row.locator(".url").inner_text()
    assert cdn.get(url).status_code == 200
    expect(row).to_contain_text(f"640 {TIMES} 480")


def test_several_pictures_can_be_dropped_at_once(visitor: Visitor, picture: Path, tmp_path: Path) -> None:
    second = tmp_path / "second.png"
    second.write_bytes(pictures.png(20, 30))
    visitor.sign_up()
    rows = visitor.upload(picture, second)
    expect(rows.get_by_role("img")).to_have_count(2)
    expect(rows.first).to_contain_text(f"20 {TIMES} 30")


def test_pictures_can_be_chosen_without_a_mouse(visitor: Visitor, picture: Path) -> None:
    visitor.page.on("filechooser", lambda _: None)  # from here on, no window of the system's opens
    visitor.sign_up()
    chooser = visitor.page.get_by_label("Drop pictures here")
    chooser.focus()
    expect(chooser).to_be_focused()
    with visitor.page.expect_file_chooser() as choosing:
        visitor.page.keyboard.press("Enter")
    choosing.value.set_files(picture)
    expect(visitor.page.get_by_role("list", name="Uploads").get_by_role("img")).to_be_visible()


def test_the_bar_shows_how_far_an_upload_has_come(visitor: Visitor, tmp_path: Path) -> None:
    noise = tmp_path / "noise.png"
    noise.write_bytes(bytes(pyvips.Image.gaussnoise(700, 700).cast("uchar").pngsave_buffer()))
    visitor.sign_up()
    line = visitor.context.new_cdp_session(visitor.page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 600_000}
    line.send("Network.emulateNetworkConditions", slow)
    rows = visitor.upload(noise)
    visitor.page.wait_for_function(
        "() => [...document.querySelectorAll('progress')].some(({value}) => value > 0 && value < 1)"
    )
    expect(rows.get_by_role("img")).to_be_visible()


def test_a_file_that_is_no_picture_is_refused_in_the_words_of_the_api(
    visitor: Visitor, tmp_path: Path
) -> None:
    text = tmp_path / "notes.jpg"
    text.write_text("not a picture")
    visitor.expects = {400}
    visitor.sign_up()
    rows = visitor.upload(text)
    expect(rows.get_by_role("alert")).to_contain_text("The uploaded file is not a valid image format")
    expect(rows.get_by_role("alert")).to_contain_text("INVALID_IMAGE_FORMAT")


def test_a_picture_that_is_too_large_is_not_sent(visitor: Visitor, tmp_path: Path) -> None:
    large = tmp_path / "large.jpg"
    with large.open("wb") as file:
        file.truncate(10 * MIB + 1)
    visitor.sign_up()
    rows = visitor.upload(large)
    expect(rows.get_by_role("alert")).to_contain_text("FILE_TOO_LARGE")
    assert not [request for request in visitor.requests if request.url.endswith("/v1/upload")]


def test_over_the_rate_the_page_counts_down_and_the_upload_can_be_sent_again(
    make_visitor: MakeVisitor, visitor: Visitor, tmp_path: Path
) -> None:
    files = [tmp_path / f"{number}.png" for number in range(24)]  # the burst of the plan free is 20
    for file in files:
        file.write_bytes(pictures.png(8, 8))
    visitor.expects = {429}
    visitor.sign_up()
    rows = visitor.upload(*files)
    refused = rows.filter(has_text="RATE_LIMIT_EXCEEDED").last
    expect(refused).to_contain_text("You can try again in")
    again = refused.get_by_role("button", name="Try again")
    expect(again).to_be_disabled()
    name = refused.locator("strong").first.inner_text()
    row = rows.filter(has_text=name)
    expect(row.get_by_role("button", name="Try again")).to_be_enabled()
    row.get_by_role("button", name="Try again").click()
    expect(rows.filter(has_text=name)).to_have_count(0)
