"""The API and the CDN as their clients call them."""

import http.client
import socket
from collections.abc import Iterable
from typing import Any, Final, Protocol

import httpx2

from tests import openapi
from tests.stack import Stack

TIMEOUT_SECONDS: Final = 60
BOUNDARY: Final = "a-boundary"
MULTIPART: Final = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
NOWHERE: Final = "img_0000000000000000"


class Served(Protocol):
    """All that a client needs to know of a stack."""

    @property
    def base_url(self) -> str: ...


def client(stack: Served, key: str | None = None, **headers: str) -> httpx2.Client:
    """Sends `key` with every request, where there is one; every answer has to be as openapi.json says."""
    authorization = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx2.Client(
        base_url=stack.base_url,
        headers=authorization | headers,
        timeout=TIMEOUT_SECONDS,
        event_hooks={"response": [openapi.check]},
    )


def upload(api: httpx2.Client, picture: bytes, user_id: str = "12345") -> dict[str, Any]:
    """The answer to an upload that is accepted."""
    answer = api.post("/v1/upload", data={"user_id": user_id}, files={"image": ("a.jpg", picture)})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def part(name: str, body: bytes, *parameters: str, content_type: str | None = None) -> bytes:
    """One part of a form, header and all; `parameters` of its Content-Disposition after the name."""
    disposition = "; ".join(["form-data", f'name="{name}"', *parameters])
    lines = [f"Content-Disposition: {disposition}"]
    lines += [f"Content-Type: {content_type}"] if content_type else []
    return "\r\n".join([*lines, "", ""]).encode() + body


def form(*parts: bytes) -> bytes:
    """The body of a form of these parts, to send with the headers MULTIPART."""
    line = f"--{BOUNDARY}".encode()
    return b"".join(line + b"\r\n" + each + b"\r\n" for each in parts) + line + b"--\r\n"


def send(api: httpx2.Client, *parts: bytes) -> httpx2.Response:
    """An upload of exactly these parts."""
    return api.post("/v1/upload", content=form(*parts), headers=MULTIPART)


def chunked(body: bytes, size: int = 65_536) -> Iterable[bytes]:
    """The body in pieces, which is sent without a length."""
    return (body[start : start + size] for start in range(0, len(body), size))


def exchange(stack: Stack, request: bytes) -> httpx2.Response:
    """The answer to these bytes, whatever they are."""
    with socket.create_connection(("127.0.0.1", stack.port), timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(request)
        with http.client.HTTPResponse(connection) as answer:
            answer.begin()
            return httpx2.Response(answer.status, headers=answer.getheaders(), content=answer.read())


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    """The status and the code of an error, which has to be in the one form of all errors."""
    assert answer.headers["content-type"] == "application/json", answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"]
    assert "set-cookie" not in answer.headers
    assert "vary" not in answer.headers
    body = answer.json()
    assert body.keys() == {"success", "error"}
    assert body["success"] is False
    assert body["error"].keys() == {"code", "message", "details"}
    assert all(isinstance(text, str) and text for text in body["error"].values())
    return answer.status_code, body["error"]["code"]


def metric(stack: Stack, program: str, name: str) -> float:
    """A counter's value over all of its labels and of the program's processes."""
    total = 0.0
    for process in stack.names(program):
        transport = httpx2.HTTPTransport(uds=str(stack.state.run / f"{process}.sock"))
        with httpx2.Client(transport=transport, base_url="http://localhost") as inside:
            lines = inside.get("/metrics").text.splitlines()
        total += sum(
            float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{"))
        )
    return total
