"""Validators: who has a picture already is told so, and nobody else is."""

import httpx2
import pytest

from services.transform.options import Options
from tests import pictures
from tests.e2e import calls
from tests.stack import Stack


@pytest.fixture
def url(api: httpx2.Client) -> str:
    """A variant that nobody has asked for yet, of a picture that is one of its kind."""
    return f"/{calls.upload(api, pictures.jpeg(300, 200))['image_id']}?w=100"


def twin(api: httpx2.Client) -> tuple[str, str]:
    """A cold variant and its validator, as a browser has it whose nginx has forgotten the variant."""
    image_id = calls.upload(api, pictures.jpeg(300, 200))["image_id"]
    return f"/{image_id}?w=100", Options(width=100).etag(image_id)


def test_a_cold_variant_that_the_client_has_is_not_rendered(api: httpx2.Client, stack: Stack) -> None:
    url, known = twin(api)
    before = calls.metric(stack, "transform", "renders_total")
    with calls.client(stack) as client:
        for sent in (known, f'"other", W/{known}'):
            answer = client.get(url, headers={"If-None-Match": sent})
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", known)
    assert calls.metric(stack, "transform", "renders_total") == before


def test_a_304_is_never_what_someone_without_a_validator_gets(api: httpx2.Client, stack: Stack) -> None:
    url, known = twin(api)
    with calls.client(stack) as client:
        assert client.get(url, headers={"If-None-Match": known}).status_code == 304
        plain = client.get(url)
        assert (plain.status_code, plain.headers["x-cache"], plain.headers["etag"]) == (200, "MISS", known)
        assert plain.content
        assert client.get(url, headers={"If-None-Match": known}).headers["x-cache"] == "HIT"
        assert client.get(url).content == plain.content


def test_another_validator_gets_the_picture(stack: Stack, url: str) -> None:
    with calls.client(stack) as client:
        assert client.get(url, headers={"If-None-Match": '"something"'}).status_code == 200


def test_a_validator_of_a_picture_that_is_not_there_is_a_404(stack: Stack) -> None:
    known = Options().etag(calls.NOWHERE)
    with calls.client(stack) as client:
        answer = client.get(f"/{calls.NOWHERE}", headers={"If-None-Match": known})
    assert calls.refusal(answer) == (404, "IMAGE_NOT_FOUND")


def test_a_head_has_the_headers_of_a_get_and_no_body(stack: Stack, url: str) -> None:
    with calls.client(stack) as client:
        head, get = client.head(url), client.get(url)
    assert head.content == b""
    names = ("content-type", "content-length", "etag", "cache-control")
    assert [head.headers[name] for name in names] == [get.headers[name] for name in names]
    assert int(head.headers["content-length"]) == len(get.content)
