"""GET and HEAD of a picture: headers, validators, names by extension, and what is refused."""

import httpx2
import pytest

from tests import pictures
from tests.e2e import calls
from tests.e2e.calls import NOWHERE, refusal
from tests.e2e.pixels import format_of
from tests.stack import Stack

HEADERS = {
    "cache-control": "public, max-age=86400, stale-while-revalidate=3600",
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
    "timing-allow-origin": "*",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "content-disposition": "inline",
}
NEVER = {"vary", "set-cookie", "server-timing", "ratelimit", "x-ratelimit-limit", "x-powered-by"}


@pytest.mark.parametrize("suffix", ["", "?w=30", "?w=30&h=30&f=webp", ".png"])
def test_a_picture_comes_with_all_its_headers_first_and_from_the_cache(
    api: httpx2.Client, cdn: httpx2.Client, suffix: str
) -> None:
    image_id = calls.upload(api, pictures.jpeg())["image_id"]
    first, second = (cdn.get(f"/{image_id}{suffix}") for _ in range(2))
    assert (first.headers["x-cache"], second.headers["x-cache"]) == ("MISS", "HIT")
    assert first.content == second.content
    for answer in (first, second):
        assert answer.status_code == 200
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        assert answer.headers["cache-tag"] == answer.headers["surrogate-key"] == image_id
        assert answer.headers["content-length"] == str(len(answer.content))
        assert answer.headers["etag"].startswith('"')
        assert answer.headers["x-request-id"]
        assert not NEVER & answer.headers.keys()
    assert first.headers["etag"] == second.headers["etag"]


def test_head_has_the_headers_of_get(api: httpx2.Client, cdn: httpx2.Client) -> None:
    image_id = calls.upload(api, pictures.jpeg())["image_id"]
    cold, warm, got = (
        cdn.head(f"/{image_id}?w=31"),
        cdn.head(f"/{image_id}?w=31"),
        cdn.get(f"/{image_id}?w=31"),
    )
    assert cold.content == warm.content == b""
    own = {"x-request-id", "date", "x-cache"}
    for answer in (cold, warm):
        assert answer.status_code == 200
        assert {n: v for n, v in answer.headers.items() if n not in own} == {
            n: v for n, v in got.headers.items() if n not in own
        }


@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', "*"])
def test_what_the_client_has_already_is_not_sent_again(cdn: httpx2.Client, image_id: str, form: str) -> None:
    etag = cdn.get(f"/{image_id}").headers["etag"]
    answer = cdn.get(f"/{image_id}", headers={"If-None-Match": form.format(etag)})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == etag
    assert answer.headers["cache-control"] == HEADERS["cache-control"]
    assert not NEVER & answer.headers.keys()


def test_a_validator_on_a_cold_picture_never_reaches_the_cache(
    api: httpx2.Client, cdn: httpx2.Client
) -> None:
    image_id = calls.upload(api, pictures.jpeg())["image_id"]
    etag = cdn.get(f"/{image_id}?w=21").headers["etag"]
    answer = cdn.get(f"/{image_id}?w=22", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.headers["x-cache"]) == (200, "MISS")
    cold = cdn.get(f"/{image_id}?w=23", headers={"If-None-Match": "*"})
    assert cold.status_code in (200, 304)
    after = cdn.get(f"/{image_id}?w=23")
    assert (after.status_code, len(after.content) > 0) == (200, True)


def test_every_variant_has_an_etag_of_its_own(api: httpx2.Client, cdn: httpx2.Client, image_id: str) -> None:
    other = calls.upload(api, pictures.jpeg(61, 41))["image_id"]
    suffixes = ["", "?w=10", "?h=10", "?w=10&h=10", "?w=10&q=50", "?w=10&f=webp", "?f=png"]
    etags = [cdn.get(f"/{each}{suffix}").headers["etag"] for each in (image_id, other) for suffix in suffixes]
    assert len(set(etags)) == len(etags)


@pytest.mark.parametrize(
    ("extension", "expected"),
    [("jpg", "jpg"), ("jpeg", "jpg"), ("png", "png"), ("webp", "webp"), ("JPG", "jpg"), ("WebP", "webp")],
)
def test_an_extension_is_the_format(cdn: httpx2.Client, image_id: str, extension: str, expected: str) -> None:
    named = cdn.get(f"/{image_id}.{extension}?w=24")
    asked = cdn.get(f"/{image_id}?w=24&f={expected}")
    assert format_of(named.content) == expected
    assert (named.content, named.headers["etag"]) == (asked.content, asked.headers["etag"])
    assert asked.headers["x-cache"] == "HIT"


def test_f_wins_over_the_extension(cdn: httpx2.Client, image_id: str) -> None:
    assert format_of(cdn.get(f"/{image_id}.png?f=webp").content) == "webp"
    assert format_of(cdn.get(f"/{image_id}.png?f=").content) == "png"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (f"{name}={value}", name)
        for name in "wh"
        for value in ("0", "4097", "-1", "1.5", "10px", "99999999999999999999", "%00", "+1", "1 0", "invalid")
    ]
    + [(f"q={value}", "q") for value in ("0", "101", "-1", "high")]
    + [(f"f={value}", "f") for value in ("gif", "avif", "svg", "jp", "jpgg", "%00")],
)
def test_a_parameter_out_of_range_is_refused_and_named(
    cdn: httpx2.Client, image_id: str, query: str, names: str
) -> None:
    answer = cdn.get(f"/{image_id}?{query}")
    assert refusal(answer) == (400, "INVALID_PARAMETER")
    assert answer.json()["error"]["details"].startswith(f"{names} must be")
    assert answer.headers["access-control-allow-origin"] == "*"


def test_an_output_too_large_is_refused_before_it_is_rendered(api: httpx2.Client, cdn: httpx2.Client) -> None:
    flat = calls.upload(api, pictures.png(12_000, 10))["image_id"]
    assert refusal(cdn.get(f"/{flat}?h=4096")) == (400, "INVALID_PARAMETER")
    assert cdn.get(f"/{flat}?w=4096&h=4096").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        f"/{NOWHERE}",
        f"/{NOWHERE}.png?w=10",
        "/img_",
        "/img_000000000000000",
        "/img_00000000000000000",
        "/img_000000000000000G",
        "/img_00000000000000A0",
        f"/{NOWHERE}.gif",
        f"/{NOWHERE}.",
        f"/{NOWHERE}/",
        f"/{NOWHERE}.png.png",
    ],
)
def test_what_is_no_picture_is_not_found(cdn: httpx2.Client, path: str) -> None:
    assert refusal(cdn.get(path)) == (404, "IMAGE_NOT_FOUND")


def test_errors_are_not_kept(stack: Stack, cdn: httpx2.Client, image_id: str) -> None:
    for path in (f"/{NOWHERE}", f"/{image_id}?w=0"):
        asked = calls.metric(stack, "transform", "http_requests_total")
        for _ in range(3):
            assert cdn.get(path).status_code >= 400
        assert calls.metric(stack, "transform", "http_requests_total") == asked + 3


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "OPTIONS", "DELETE", "TRACE"])
def test_a_picture_can_only_be_read(cdn: httpx2.Client, image_id: str, method: str) -> None:
    answer = cdn.request(method, f"/{image_id}")
    assert refusal(answer) == (405, "METHOD_NOT_ALLOWED")
    if method != "TRACE":  # nginx refuses it before it looks at the path
        assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("asked", ["bytes=0-9", "bytes=999999-"])
def test_a_range_gets_the_whole_picture(cdn: httpx2.Client, image_id: str, asked: str) -> None:
    """RFC 9110 section 14.2: a server may ignore Range; a picture is small, and browsers show it whole."""
    answer = cdn.get(f"/{image_id}", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, cdn.get(f"/{image_id}").content)


def test_hosts_divide_the_work(stack: Stack, key: str, image_id: str) -> None:
    with calls.client(stack, key, Host="cdn.localhost") as cdn:
        assert cdn.get(f"/{image_id}").status_code == 200
        assert refusal(cdn.get("/v1/images")) == (404, "NOT_FOUND")
    with calls.client(stack, key, Host="api.localhost") as api:
        assert api.get("/v1/images").status_code == 200
        assert refusal(api.get(f"/{image_id}")) == (404, "NOT_FOUND")
