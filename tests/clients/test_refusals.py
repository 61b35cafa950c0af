"""A request that its headers doom is answered before any of its body is sent."""

import json
import socket
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.stack import Stack

MIB = 1024 * 1024
ANSWER_SECONDS = 30
NINE_MIB = f"Content-Length: {9 * MIB}"
FIFTY_MIB = f"Content-Length: {50 * MIB}"
CHUNKED = "Transfer-Encoding: chunked"
EXPECT = "Expect: 100-continue"
WRONG_KEY = "Authorization: Bearer up_live_wrong"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    error: dict[str, Any]


def answer_to_headers(stack: Stack, *headers: str) -> Answer:
    """The first answer to an upload of which no byte of the body is sent."""
    url = urlsplit(stack.base_url)
    assert url.hostname is not None
    request = ["POST /v1/upload HTTP/1.1", f"Host: {url.netloc}"]
    request += ["Content-Type: multipart/form-data; boundary=x", *headers, "", ""]
    with socket.create_connection((url.hostname, url.port or 80), timeout=ANSWER_SECONDS) as connection:
        connection.sendall("\r\n".join(request).encode())
        with connection.makefile("rb") as stream:
            status, fields = read_head(stream)
            # nginx asks for the body even where it is about to discard it; the answer does not wait for it.
            while status == 100:
                status, fields = read_head(stream)
            body = stream.read(int(fields["content-length"]))
    return Answer(status, fields, json.loads(body)["error"])


def read_head(stream: BinaryIO) -> tuple[int, dict[str, str]]:
    status = int(stream.readline().split()[1])
    fields = {}
    for line in iter(stream.readline, b"\r\n"):
        name, _, value = line.decode().partition(":")
        fields[name.lower()] = value.strip()
    return status, fields


@pytest.mark.parametrize("framing", [(NINE_MIB,), (CHUNKED,), (NINE_MIB, EXPECT), (CHUNKED, EXPECT)])
def test_a_wrong_key_is_answered_before_the_body_is_sent(stack: Stack, framing: tuple[str, ...]) -> None:
    answer = answer_to_headers(stack, WRONG_KEY, *framing)
    assert (answer.status, answer.error["code"]) == (401, "INVALID_API_KEY")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["www-authenticate"] == 'Bearer realm="user.photos", error="invalid_token"'


def test_no_key_is_answered_before_the_body_is_sent(stack: Stack) -> None:
    answer = answer_to_headers(stack, NINE_MIB)
    assert (answer.status, answer.error["code"]) == (401, "INVALID_API_KEY")
    assert answer.headers["www-authenticate"] == 'Bearer realm="user.photos"'


@pytest.mark.parametrize("framing", [(FIFTY_MIB,), (FIFTY_MIB, EXPECT)])
@pytest.mark.parametrize("key_is", ["right", "wrong"])
def test_a_length_over_the_limit_is_answered_before_the_body_is_sent(
    stack: Stack, key: str, key_is: str, framing: tuple[str, ...]
) -> None:
    authorization = f"Authorization: Bearer {key}" if key_is == "right" else WRONG_KEY
    answer = answer_to_headers(stack, authorization, *framing)
    assert (answer.status, answer.error["code"]) == (413, "FILE_TOO_LARGE")
    assert answer.headers["content-type"] == "application/json"
