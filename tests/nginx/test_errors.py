"""nginx's own errors: the one form, whatever comes in; and the snippets that write it are fresh."""

import json
import socket
from http.client import HTTPResponse, RemoteDisconnected
from typing import NamedTuple

import pytest

from deploy.nginx import errors
from tests.nginx.conftest import Edge

TIMEOUT_SECONDS = 30
NOWHERE = "img_0000000000000000"
HOST = b"Host: localhost\r\n"
LIMIT = 10_304 * 1024


class Refusal(NamedTuple):
    status: int
    code: str
    details: str
    headers: dict[str, str]


def exchange(edge: Edge, request: bytes) -> Refusal:
    """What nginx answers to these bytes, which has to be an error in the one form."""
    with socket.create_connection(("127.0.0.1", edge.port), timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(request)
        with HTTPResponse(connection) as answer:
            answer.begin()
            names = [name.lower() for name, _ in answer.getheaders()]
            headers = dict(zip(names, (value for _, value in answer.getheaders()), strict=True))
            body = json.loads(answer.read())
    assert len(set(names)) == len(names), "a header twice"
    assert headers["content-type"] == "application/json"
    assert headers["cache-control"] == "no-store"
    assert headers["x-request-id"]
    assert body.keys() == {"success", "error"}
    assert body["success"] is False
    assert body["error"].keys() == {"code", "message", "details"}
    assert all(isinstance(text, str) and text for text in body["error"].values())
    return Refusal(answer.status, body["error"]["code"], body["error"]["details"], headers)


def get(path: bytes, *more: bytes) -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"".join(line + b"\r\n" for line in more) + b"\r\n"


def post(path: bytes, *more: bytes, body: bytes = b"") -> bytes:
    return get(path, *more).replace(b"GET", b"POST", 1) + body


MALFORMED = {
    "no request line": b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
    "no method": b"get / HTTP/1.1\r\n\r\n",
    "no version": b"GET / HTTX/1.1\r\n\r\n",
    "a zero in the path": get(b"/%00"),
    "a path above the root": get(b"/../x"),
    "a percent sign alone": get(b"/%zz"),
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": get(b"/", b"Host: b"),
    "a host that cannot be": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "a broken header": get(b"/", b"a\x00b: c"),
    "a length that is no number": post(b"/v1/upload", b"Content-Length: x"),
    "two lengths": post(b"/v1/upload", b"Content-Length: 1", b"Content-Length: 2"),
    "a length and chunks": post(b"/v1/upload", b"Content-Length: 1", b"Transfer-Encoding: chunked"),
    "chunks that are none": post(b"/v1/upload", b"Transfer-Encoding: chunked", body=b"zz\r\n"),
    "a percent sign alone on the CDN": get(b"/" + NOWHERE.encode() + b"%"),
}


@pytest.mark.parametrize("request_name", MALFORMED)
def test_a_malformed_request_is_a_400(edge: Edge, request_name: str) -> None:
    answer = exchange(edge, MALFORMED[request_name])
    assert (answer.status, answer.code) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    ("request_bytes", "status", "code", "told"),
    [
        pytest.param(get(b"/" + b"x" * 9000), 414, "INVALID_REQUEST", "URL", id="URL too long"),
        pytest.param(get(b"/?" + b"x" * 9000), 414, "INVALID_REQUEST", "URL", id="query too long"),
        pytest.param(
            get(b"/", b"A: " + b"x" * 9000), 400, "INVALID_REQUEST", "headers", id="a header too long"
        ),
        pytest.param(
            get(b"/", *(b"A%d: " % n + b"x" * 1000 for n in range(60))),
            400,
            "INVALID_REQUEST",
            "headers",
            id="headers",
        ),
        pytest.param(
            b"GET / HTTP/3.0\r\n" + HOST + b"\r\n", 505, "INVALID_REQUEST", "HTTP/1.1", id="version"
        ),
        pytest.param(
            post(b"/v1/upload", b"Transfer-Encoding: gzip"),
            501,
            "INVALID_REQUEST",
            "chunked",
            id="transfer coding",
        ),
        pytest.param(
            post(b"/v1/upload", b"Content-Length: %d" % (LIMIT + 1)),
            413,
            "FILE_TOO_LARGE",
            "10,485,760",
            id="a length",
        ),
        pytest.param(
            post(b"/nothing", b"Content-Length: 99999999999"),
            413,
            "FILE_TOO_LARGE",
            "10,485,760",
            id="anywhere",
        ),
        pytest.param(
            post(b"/v1/upload", b"Transfer-Encoding: chunked", body=b"%x\r\nx" % (LIMIT + 1)),
            413,
            "FILE_TOO_LARGE",
            "10,485,760",
            id="a chunk",
        ),
        pytest.param(get(b"/nowhere"), 404, "NOT_FOUND", "path", id="no such path"),
        pytest.param(get(b"/v1/upload/"), 404, "NOT_FOUND", "path", id="a slash too many"),
        pytest.param(get(b"/v1/images/a/b"), 404, "NOT_FOUND", "path", id="a path too deep"),
        pytest.param(get(b"/authorize"), 404, "NOT_FOUND", "path", id="auth is not reachable"),
        pytest.param(get(b"/_authorize"), 404, "NOT_FOUND", "path", id="auth's location is internal"),
        pytest.param(get(b"/_error/500"), 404, "NOT_FOUND", "path", id="error pages are internal"),
        pytest.param(get(b"/metrics"), 404, "NOT_FOUND", "path", id="metrics are not reachable"),
        pytest.param(get(b"/livez"), 404, "NOT_FOUND", "path", id="health is not reachable"),
        pytest.param(
            get(b"/" + NOWHERE.encode() + b"/x"), 404, "IMAGE_NOT_FOUND", "id", id="below a picture"
        ),
    ],
)
def test_nginx_answers_its_own_errors_in_the_one_form(
    edge: Edge, request_bytes: bytes, status: int, code: str, told: str
) -> None:
    answer = exchange(edge, request_bytes)
    assert (answer.status, answer.code) == (status, code)
    assert told in answer.details


def test_a_body_that_does_not_come_ends_the_connection(edge: Edge) -> None:
    """nginx closes without an answer, whatever its page for 408 says: nobody is there to read one."""
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        exchange(edge, post(b"/v1/upload", b"Content-Length: 10", body=b"x"))


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/upload", "POST"),
        ("PUT", "/v1/upload", "POST"),
        ("OPTIONS", "/v1/upload", "POST"),
        ("POST", "/v1/images", "GET, HEAD"),
        ("DELETE", "/v1/images", "GET, HEAD"),
        ("PATCH", f"/v1/images/{NOWHERE}", None),
        ("POST", f"/{NOWHERE}", "GET, HEAD"),
        ("DELETE", f"/{NOWHERE}.png?w=1", "GET, HEAD"),
        ("POST", "/img_x", "GET, HEAD"),
        ("BREW", f"/{NOWHERE}", "GET, HEAD"),
        ("TRACE", "/v1/images", None),
        ("CONNECT", "/v1/images", None),
    ],
)
def test_a_wrong_method_is_a_405_that_names_the_right_ones(
    edge: Edge, method: str, path: str, allowed: str | None
) -> None:
    answer = exchange(edge, get(path.encode()).replace(b"GET", method.encode(), 1))
    assert (answer.status, answer.code) == (405, "METHOD_NOT_ALLOWED")
    if allowed:
        assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(("sent", "kept"), [("mine-1", True), ("{}", False)])
def test_nginx_keeps_a_sane_request_id_in_its_own_errors(edge: Edge, sent: str, kept: bool) -> None:
    answer = exchange(edge, get(b"/nothing", b"X-Request-Id: " + sent.encode()))
    assert (answer.headers["x-request-id"] == sent) == kept


@pytest.mark.parametrize("name", errors.FILES)
def test_the_snippets_are_in_step_with_the_table_of_errors(name: str) -> None:
    assert (errors.SNIPPETS / name).read_text() == errors.FILES[name]()


def test_every_status_that_nginx_makes_itself_has_a_page() -> None:
    own = {400, 403, 404, 405, 408, 411, 413, 414, 416, 494, 495, 496, 497, 500, 501, 502, 503, 504, 505, 507}
    assert own <= errors.PAGES.keys()
