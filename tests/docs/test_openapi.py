"""openapi.json says what the services and nginx do: read both ways, and tried with generated requests."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx2
import msgspec
import pytest
from openapi_spec_validator import validate
from starlette.routing import Route

from deploy.nginx.errors import PAGES, SNIPPETS
from libs import errors
from libs.errors import Problem
from services.auth.routes import ROUTES as AUTH
from services.ingest.routes import ROUTES as INGEST
from services.transform.routes import ROUTES as TRANSFORM
from tests import openapi
from tests.e2e import calls
from tests.openapi import Document, Operation, Undocumented
from tests.stack import Stack

CHECKOUT: Final = Path(__file__).parents[2]
PROBLEMS: Final = [value for value in vars(errors).values() if isinstance(value, Problem)]
INNER: Final = ("/authorize", "/inner/")  # between the services
EXAMPLES: Final = os.environ.get("FUZZ_EXAMPLES", "5")  # requests of each kind, beside those at the edges
RUN_SECONDS: Final = 3600


@pytest.fixture(scope="module")
def document() -> Document:
    return openapi.document()


def offered(path: str) -> str:
    """A path of a Starlette route as the document writes it."""
    return re.sub(r":\w+\}", "}", path)


def filled(operation: Operation) -> str:
    """The operation's path with its examples."""
    return operation.path.format(
        image_id=calls.NOWHERE,
        user_id="12345",
        key_id="key_0000000000000000",
        session_id="sess_0000000000000000",
        extension="webp",
    )


def codes(document: Document, response: Any) -> Iterator[str]:
    """The error codes that a documented response can have."""
    for media in document.resolve(response).get("content", {}).values():
        for part in media.get("schema", {}).get("allOf", ()):
            error = part.get("properties", {}).get("error", {})
            yield from error.get("properties", {}).get("code", {}).get("enum", ())


def test_the_document_is_one(document: Document) -> None:
    validate(document.content)


def test_every_route_of_the_services_is_documented_and_no_other(document: Document) -> None:
    documented = {(each.method, each.path) for each in document.operations()}
    served = {
        (method, offered(route.path))
        for route in (*AUTH, *INGEST, *TRANSFORM)
        if isinstance(route, Route) and not route.path.startswith(INNER)
        for method in (route.methods or set()) - {"HEAD"}
    }
    of_nginx = {
        ("GET", "/v1/openapi.json"),
        ("HEAD", "/{image_id}"),
        ("GET", "/{image_id}.{extension}"),
        ("HEAD", "/{image_id}.{extension}"),
    }
    assert documented == served | of_nginx


def test_every_location_of_nginx_is_documented_or_a_page(document: Document) -> None:
    paths = [filled(operation) for operation in document.operations()]
    pages = ["/", "/docs", "/config.json", "/assets/docs.css", "/img_"]
    found = []
    for file in SNIPPETS.glob("*-locations.conf"):
        text = re.sub(r"location [^{]*\{\n    internal;", "", file.read_text())
        found += re.findall(r"^location (=|~|) ?\"?(/[^\" ]*|\^[^\"]*)\"? \{", text, re.MULTILINE)
    assert len(found) > 10
    for kind, pattern in found:
        exact = re.escape(pattern) + ("$" if kind == "=" else "")
        regex = pattern.replace("(?<", "(?P<") if kind == "~" else exact
        assert any(re.match(regex, path) for path in paths + pages), pattern


def test_a_path_has_the_methods_that_are_documented_and_no_other(document: Document, stack: Stack) -> None:
    methods: dict[str, set[str]] = {}
    for operation in document.operations():
        methods.setdefault(filled(operation), set()).add(operation.method)
    with calls.client(stack) as nobody:
        for path, documented in methods.items():
            allowed = documented | ({"HEAD"} if "GET" in documented else set())
            for method in ("OPTIONS", "TRACE"):  # the latter nginx refuses before it looks at the path
                answer = nobody.request(method, path)
                assert calls.refusal(answer) == (405, "METHOD_NOT_ALLOWED")
                assert set(answer.headers["allow"].split(", ")) == allowed, (method, path)


def test_every_error_is_documented_with_its_status_and_its_text(document: Document) -> None:
    statuses = {problem.code: {problem.status} for problem in PROBLEMS}
    for status, problem, _ in PAGES.values():
        statuses[problem.code].add(status)
    found: dict[str, set[int]] = {"METHOD_NOT_ALLOWED": {405}}  # of no operation: of what is none
    for operation in document.operations():
        for status, response in operation.content["responses"].items():
            for code in codes(document, response):
                found.setdefault(code, set()).add(int(status))
    assert found == statuses
    examples = {code: each["value"] for code, each in document.content["components"]["examples"].items()}
    assert examples == {problem.code: msgspec.json.decode(errors.body(problem)) for problem in PROBLEMS}
    schema = document.content["components"]["schemas"]["Error"]["properties"]["error"]
    assert schema["properties"]["code"]["enum"] == [problem.code for problem in PROBLEMS]


def test_every_refusal_of_a_caller_is_documented_where_a_caller_is_asked_for(document: Document) -> None:
    for operation in document.operations():
        security, answers = operation.content["security"], operation.content["responses"]
        assert ("401" in answers) == bool(security) or operation.content["operationId"] == "signIn"
        writes = operation.method not in {"GET", "HEAD"}
        for requirement in security:
            assert ("csrf" in requirement) == ("session" in requirement and writes)
        if security:
            assert ("INVALID_CSRF_TOKEN" in codes(document, answers["403"])) == writes


def test_the_document_is_served_with_the_bases_of_this_installation(stack: Stack) -> None:
    with calls.client(stack) as nobody:
        answer = nobody.get("/v1/openapi.json")
    assert answer.json()["servers"][0]["url"] == stack.base_url
    assert "{{" not in answer.text


@pytest.mark.parametrize(
    ("status", "path", "body", "headers"),
    [
        pytest.param(200, "/v1/images", b'{"success":true,"images":[]}', {}, id="a field is missing"),
        pytest.param(
            200, "/v1/images", b'{"success":true,"images":[],"next_cursor":null,"x":1}', {}, id="more"
        ),
        pytest.param(418, "/v1/images", errors.body(errors.NOT_FOUND), {}, id="a status"),
        pytest.param(404, "/v1/images/x", errors.body(errors.KEY_NOT_FOUND), {}, id="a code"),
        pytest.param(404, "/v1/images/x", b"<html>", {"content-type": "text/html"}, id="a type"),
        pytest.param(404, "/v1/images/x", errors.body(errors.NOT_FOUND), {"x-request-id": ""}, id="a header"),
        pytest.param(200, "/v1/else", b"{}", {}, id="a path"),
    ],
)
def test_an_answer_that_is_not_documented_is_noticed(
    document: Document, status: int, path: str, body: bytes, headers: dict[str, str]
) -> None:
    usual = {"content-type": "application/json", "cache-control": "no-store", "x-request-id": "1"}
    request = httpx2.Request("GET", f"http://localhost{path}")
    answer = httpx2.Response(status, headers=usual | headers, content=body, request=request)
    with pytest.raises(Undocumented):
        document.check(answer)


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("/v1/%75pload?x=/", "/v1/upload"),
        ("/v1/users/a%2Fb", "/v1/users/{user_id}"),
        (f"/{calls.NOWHERE}.WEBP", "/{image_id}.{extension}"),
        (f"/{calls.NOWHERE}x", None),
    ],
)
def test_a_path_is_found_as_nginx_finds_it(document: Document, target: str, found: str | None) -> None:
    operations = [document.find(method, openapi.canonical(target)) for method in ("GET", "POST", "DELETE")]
    assert {operation.path for operation in operations if operation} == ({found} if found else set())


def test_no_generated_request_gets_an_undocumented_answer(stack: Stack, tmp_path: Path) -> None:
    """Schemathesis: valid and invalid requests, one by one and in sequences (FUZZ_EXAMPLES of each kind)."""
    key = stack.create_account("unlimited", "schemathesis")
    command = [str(Path(sys.executable).with_name("st")), "--config-file", "tests/docs/schemathesis.toml"]
    command += ["run", f"{stack.base_url}/v1/openapi.json", "--max-examples", EXAMPLES]
    done = subprocess.run(
        command,
        cwd=CHECKOUT,
        env=os.environ | {"BASE_URL": stack.base_url, "API_KEY": key, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
