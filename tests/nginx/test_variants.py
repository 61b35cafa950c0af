"""What is keyed is what is rendered: one canonical variant is one cache entry and one request upstream.

The recorder answers with the very request that it got, so that what nginx serves for a URL says which variant
it has in its cache under that URL's key. What a URL means is said a second time here, in plain Python.
"""

import itertools
import re
import string
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.nginx.conftest import Edge

FORMATS = {"jpg": "jpg", "jpeg": "jpg", "png": "png", "webp": "webp"}
UNESCAPED = string.ascii_letters + string.digits + "-._~!$'()*+,;:@/?[]|%=&"

_numbers = itertools.count(1)


def new_image() -> str:
    return f"img_{next(_numbers):016x}"


def first(query: str, name: str) -> str:
    """The value of the first parameter of this name, in whatever case; empty where there is none."""
    for parameter in query.split("&"):
        found, equals, value = parameter.partition("=")
        if equals and found.lower() == name:
            return value
    return ""


def number(query: str, name: str, largest: int) -> str | None:
    """In its shortest form; empty where it was not asked for, None where it is refused."""
    value = unquote_to_bytes(first(query, name))
    if not value:
        return ""
    if not re.fullmatch(rb"[0-9]+", value) or not 1 <= int(value) <= largest:
        return None
    return str(int(value))


def meaning(image_id: str, extension: str, query: str) -> str | None:
    """The canonical request for a URL; None where it is refused."""
    width, height, quality = number(query, "w", 4096), number(query, "h", 4096), number(query, "q", 100)
    kind = unquote_to_bytes(first(query, "f")).decode("latin-1").lower() or extension.lower()
    if None in (width, height, quality) or (kind and kind not in FORMATS):
        return None
    kind = FORMATS.get(kind, "")
    quality = "" if quality == "85" or kind == "png" else quality
    return f"/{image_id}?w={width}&h={height}&q={quality}&f={kind}"


def check(edge: Edge, targets: list[tuple[str, str]], image_id: str) -> None:
    """Asks for all of them, in this order, and again; each is an extension and a query."""
    transform = edge.upstreams["transform"]
    transform.forget()
    for extension, query in targets * 2:
        target = f"/{image_id}{'.' + extension if extension else ''}{'?' + query if query else ''}"
        expected = meaning(image_id, extension, query)
        answer = edge.get(target)
        if expected is None:
            assert answer.status == 400, target
        else:
            assert (answer.status, answer.body.decode()) == (200, expected), target
    asked = [request.target for request in transform.asked(image_id)]
    wanted = {expected for extension, query in targets if (expected := meaning(image_id, extension, query))}
    rendered = [target for target in asked if target in wanted]
    assert sorted(rendered) == sorted(wanted)


@st.composite
def spelled(draw: st.DrawFn, value: str) -> str:
    """A value with some of its characters percent-encoded, in either case of the hex digits."""
    made = []
    for character in value:
        encoded = draw(st.sampled_from(("", "%{:02x}", "%{:02X}")))
        made.append(encoded.format(ord(character)) if encoded else character)
    return "".join(made)


@st.composite
def parameter(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(("w", "h", "q", "f")))
    values = {
        "w": ("", "1", "7", "100", "0100", "000000100", "4096", "4097", "0", "00", "-1", "1e2", "10 0"),
        "h": ("", "1", "7", "100", "007", "4096", "9999", "10000", "000"),
        "q": ("", "1", "50", "85", "085", "100", "101", "0", "00085", "850"),
        "f": ("", "jpg", "jpeg", "png", "webp", "jpe", "gif", "webpp", "pngx"),
    }[name]
    value = draw(st.sampled_from(values))
    if name == "f" and draw(st.booleans()):
        value = value.upper() if draw(st.booleans()) else value.title()
    name = name.upper() if draw(st.integers(0, 3)) == 0 else name
    return f"{name}={draw(spelled(value)).replace(' ', '%20')}"


noise = st.one_of(
    st.sampled_from(
        ("", "w", "=", "w==", "utm_source=x", "ww=5", "xw=5", "%77=5", "w%3D5", "w;h=5", "?w=5", "v=2", "_=1")
    ),
    st.text(UNESCAPED, max_size=8).map(lambda text: re.sub(r"%(?![0-9a-fA-F]{2})", "", text)),
)
query = st.lists(st.one_of(parameter(), parameter(), parameter(), noise), max_size=6).map("&".join)
extension = st.sampled_from(("", "", "", "jpg", "jpeg", "JPG", "png", "Png", "webp", "WEBP"))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(extension, query), min_size=1, max_size=8))
@example([("", "w=100&w=200"), ("", "w=200&w=100"), ("", "W=300&w=100")])
@example([("", "w=&w=100"), ("", "w&w=100"), ("", "w=100")])
@example([("png", "f="), ("", "f=png&q=50"), ("", "f=PNG&q=51"), ("png", "")])
@example([("", "f=%6A%70%67"), ("", "f=jpeg"), ("jpg", "q=85"), ("JPEG", "")])
def test_a_url_gets_the_variant_that_it_means_and_each_is_asked_for_once(
    edge: Edge, targets: list[tuple[str, str]]
) -> None:
    check(edge, targets, new_image())


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_all_spellings_of_one_variant_cost_one_request(edge: Edge, data: st.DataObject) -> None:
    image_id = new_image()
    parts = {"w": "120", "h": "90", "q": "70", "f": "webp"}
    targets = []
    for _ in range(6):
        mine = []
        for name in data.draw(st.permutations(list(parts))):
            value = data.draw(spelled(parts[name].upper() if data.draw(st.booleans()) else parts[name]))
            zeros = "0" * data.draw(st.integers(0, 3)) if name != "f" else ""
            mine.append(f"{data.draw(st.sampled_from((name, name.upper())))}={zeros}{value}")
        mine += data.draw(st.lists(parameter(), max_size=2))  # repeats: too late to mean anything
        mine.insert(
            data.draw(st.integers(0, len(mine))), data.draw(st.sampled_from(("utm=1", "", "w", "%77=1")))
        )
        targets.append(("", "&".join(mine)))
    check(edge, targets, image_id)
    assert len(edge.upstreams["transform"].asked(image_id)) == 1


def test_no_two_variants_share_an_entry(edge: Edge) -> None:
    """The key's parts cannot run into each other."""
    image_id = new_image()
    sides = ("", "1", "11", "111")
    queries = [
        f"w={w}&h={h}&q={q}&f={f}"
        for w in sides
        for h in sides
        for q in ("", "1", "11")
        for f in ("", "jpg", "webp")
    ]
    bodies = {edge.get(f"/{image_id}?{each}").body for each in queries}
    assert len(bodies) == len(queries) == len(edge.upstreams["transform"].asked(image_id))


@pytest.mark.parametrize("host", ["localhost", "cdn.localhost", "pictures.example"])
def test_the_host_is_no_part_of_the_key(edge: Edge, host: str) -> None:
    image_id = f"img_{'a' * 16}"
    edge.get(f"/{image_id}?w=5", Host=host)
    assert len(edge.upstreams["transform"].asked(image_id)) == 1


def test_spellings_of_the_path_are_one_entry(edge: Edge) -> None:
    image_id = new_image()
    paths = [
        f"/{image_id}",
        f"//{image_id}",
        f"/./{image_id}",
        f"/x/../{image_id}",
        f"/%69mg%5F{image_id[4:]}",
    ]
    answers = [edge.get(f"{path}?w=9") for path in paths]
    assert {answer.status for answer in answers} == {200}
    assert len(edge.upstreams["transform"].asked(image_id)) == 1


def test_head_and_get_are_one_entry(edge: Edge) -> None:
    image_id = new_image()
    assert edge.get(f"/{image_id}", method="HEAD").body == b""
    assert edge.get(f"/{image_id}").body == f"/{image_id}?w=&h=&q=&f=".encode()
    assert [asked.method for asked in edge.upstreams["transform"].asked(image_id)] == ["GET"]


def test_nothing_but_the_variant_and_the_validator_goes_upstream(edge: Edge) -> None:
    """The validator under its own name (docs/decisions/0007): it says whether to send, never what."""
    image_id = new_image()
    edge.get(
        f"/{image_id}?w=3&secret=1",
        **{
            "If-None-Match": "*",
            "If-Modified-Since": "Mon, 01 Jan 2024 00:00:00 GMT",
            "Range": "bytes=0-1",
            "Accept": "image/avif",
            "Accept-Encoding": "br",
            "Authorization": "Bearer x",
            "Cookie": "a=b",
            "X-Identity": "x",
            "X-Edge-Request-Id": "x",
            "X-Request-Id": "kept",
        },
    )
    (asked,) = edge.upstreams["transform"].asked(image_id)
    assert asked.target == f"/{image_id}?w=3&h=&q=&f="
    assert asked.headers.keys() == {"host", "x-request-id", "x-edge-request-id", "x-if-none-match"}
    assert asked.headers["x-request-id"] == "kept"
    assert asked.headers["x-edge-request-id"] != "x"


def test_a_refusal_is_never_kept(edge: Edge) -> None:
    image_id = new_image()
    for _ in range(3):
        assert edge.get(f"/{image_id}?w=5000").status == 400
    assert len(edge.upstreams["transform"].asked(image_id)) == 3
