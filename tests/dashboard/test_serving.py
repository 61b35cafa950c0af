"""How nginx serves the dashboard: under a strict policy, fresh, compressed, and nothing beside it."""

import re
from collections.abc import Iterator
from typing import Final

import httpx2
import pytest

from deploy.nginx.render import DASHBOARD
from tests.e2e import calls
from tests.stack import Stack

FILES: Final = sorted(f"/{path.relative_to(DASHBOARD)}" for path in (DASHBOARD / "assets").rglob("*.*"))
TYPES: Final = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
TYPES["svg"] = "image/svg+xml; charset=utf-8"


@pytest.fixture(scope="module")
def nobody(stack: Stack) -> Iterator[httpx2.Client]:
    """Has no key."""
    with calls.client(stack) as client:
        yield client


def directives(answer: httpx2.Response) -> dict[str, list[str]]:
    """The content security policy."""
    parts = (part.split() for part in answer.headers["content-security-policy"].split(";"))
    return {name: sources for name, *sources in parts}


def test_the_dashboard_is_at_the_root_of_the_api_host_and_of_any_other(nobody: httpx2.Client) -> None:
    for host in ("api.localhost", "dashboard.localhost", "localhost", "192.0.2.1"):
        answer = nobody.get("/", headers={"Host": host})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "<title>user.photos</title>" in answer.text


def test_the_cdn_host_serves_no_dashboard(nobody: httpx2.Client) -> None:
    for path in ("/", "/docs", "/config.json", *FILES[:1]):
        assert calls.refusal(nobody.get(path, headers={"Host": "cdn.localhost"})) == (404, "NOT_FOUND")


@pytest.mark.parametrize("path", FILES)
def test_every_asset_is_served_as_what_it_is(nobody: httpx2.Client, path: str) -> None:
    answer = nobody.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == TYPES[path.rpartition(".")[2]]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/assets/app.js", "/assets/base.css", "/config.json"])
def test_the_policy_allows_what_is_ours_and_nothing_inline(nobody: httpx2.Client, path: str) -> None:
    answer = nobody.get(path)
    policy = directives(answer)
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == policy["style-src"] == ["'self'"]
    assert policy["connect-src"] == ["'self'", str(nobody.base_url).rstrip("/")]
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == ["'none'"]
    assert policy["require-trusted-types-for"] == ["'script'"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-frame-options"] == "DENY"


def test_no_page_holds_a_script_a_style_or_a_listener_of_its_own() -> None:
    for page in DASHBOARD.glob("*.html"):
        text = page.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|javascript:", text), page


def test_a_page_that_has_not_changed_is_a_304(nobody: httpx2.Client) -> None:
    for path in ("/", "/assets/app.js"):
        answer = nobody.get(path)
        assert answer.headers["cache-control"] == "no-cache"
        again = nobody.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304


def test_assets_are_compressed_for_who_can_read_it(nobody: httpx2.Client) -> None:
    for accepted, encoding in (("gzip", "gzip"), ("identity", None)):
        answer = nobody.get("/assets/app.js", headers={"Accept-Encoding": accepted})
        assert answer.headers.get("content-encoding") == encoding


def test_the_pages_learn_where_the_api_and_the_cdn_are(nobody: httpx2.Client, stack: Stack) -> None:
    assert nobody.get("/config.json").json() == {"api_url": stack.base_url, "cdn_url": stack.base_url}


@pytest.mark.parametrize("path", ["/assets", "/assets/", "/assets/pages", "/assets/none.js", "/index.html"])
def test_what_is_no_page_is_the_one_form_of_errors(nobody: httpx2.Client, path: str) -> None:
    assert calls.refusal(nobody.get(path)) == (404, "NOT_FOUND")


@pytest.mark.parametrize("path", ["/", "/docs", "/assets/app.js", "/config.json"])
def test_a_page_cannot_be_posted_to(nobody: httpx2.Client, path: str) -> None:
    answer = nobody.post(path)
    assert calls.refusal(answer) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET, HEAD"
