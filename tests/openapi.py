"""dashboard/openapi.json as a judge of answers: is this one documented, whole, and of the right shape?"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import httpx2
import jsonschema_rs
import msgspec

FILE: Final = Path(__file__).parents[1] / "dashboard" / "openapi.json"
METHODS: Final = ("get", "head", "post", "put", "patch", "delete")
PAGES: Final = re.compile(r"/|/docs|/config\.json|/assets/.*")  # of the dashboard, which are no API

# RFC 3986 section 6.2.2.2: encoded or not, these are the same.
_UNRESERVED: Final = re.compile(r"%(2[dD]|2[eE]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aAeE])")
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")


class Operation(msgspec.Struct, frozen=True):
    """A method of a path, with `{}` for its parameters."""

    method: str
    path: str
    content: Mapping[str, Any]


class Undocumented(AssertionError):
    """An answer that the document does not know, or knows otherwise."""


class Document:
    """The document; `components` are what its references point into."""

    def __init__(self, text: str) -> None:
        self.content: dict[str, Any] = json.loads(text)
        self._patterns = [(self._pattern(path), path) for path in self.content["paths"]]
        self._validators: dict[int, jsonschema_rs.Validator] = {}

    def operations(self) -> Iterator[Operation]:
        for path, item in self.content["paths"].items():
            for method in METHODS:
                if method in item:
                    yield Operation(method.upper(), path, item[method])

    def find(self, method: str, path: str, host: str = "") -> Operation | None:
        """The operation that a request belongs to; a HEAD that is not named is its GET."""
        for pattern, template in self._patterns:
            item = self.content["paths"][template]
            if host.startswith("api." if "servers" in item else "cdn."):
                continue  # any other name serves both
            if pattern.fullmatch(path):
                name = method.lower()
                name = "get" if name == "head" and name not in item else name
                return Operation(method, template, item[name]) if name in item else None
        return None

    def resolve(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a reference points to, or the node itself."""
        while "$ref" in node:
            target: Any = self.content
            for name in node["$ref"].removeprefix("#/").split("/"):
                target = target[name]
            node = target
        return node

    def check(self, answer: httpx2.Response) -> None:
        """Raises Undocumented."""
        request = answer.request
        path = canonical(request.url.raw_path.decode())
        operation = self.find(request.method, path, request.headers.get("host", ""))
        told = f"{request.method} {path}: {answer.status_code}"
        if operation is None:
            self._check_elsewhere(answer, path, told)
            return
        documented = operation.content["responses"].get(str(answer.status_code))
        if documented is None:
            raise Undocumented(f"{told} is not documented: {answer.text[:200]}")
        response = self.resolve(documented)
        self._check_headers(answer, response.get("headers", {}), told)
        if request.method != "HEAD":
            self._check_body(answer, response.get("content", {}), told)

    def _check_elsewhere(self, answer: httpx2.Response, path: str, told: str) -> None:
        """A path or a method that is not documented is refused, in the form of all errors."""
        if PAGES.fullmatch(path) and answer.status_code < 400:
            return
        if answer.status_code < 400:
            raise Undocumented(f"{told} is no operation of the document")
        if answer.request.method != "HEAD":
            error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
            self._check_body(answer, error, told)

    def _check_headers(self, answer: httpx2.Response, headers: Mapping[str, Any], told: str) -> None:
        for name, node in headers.items():
            header = self.resolve(node)
            value = answer.headers.get(name)
            if value is None:
                if header.get("required"):
                    raise Undocumented(f"{told} lacks the header {name}")
                continue
            schema = self.resolve(header["schema"])
            number = schema.get("type") == "integer" and value.lstrip("-").isdigit()
            self._validate(header["schema"], int(value) if number else value, f"{told}, {name}")

    def _check_body(self, answer: httpx2.Response, content: Mapping[str, Any], told: str) -> None:
        media_type = answer.headers.get("content-type", "").partition(";")[0]
        if not content:
            if answer.content:
                raise Undocumented(f"{told} has a body: {answer.text[:200]}")
            return
        if media_type not in content:
            raise Undocumented(f"{told} is {media_type}, not one of {', '.join(content)}")
        if media_type == "application/json":
            self._validate(content[media_type]["schema"], answer.json(), told)

    def _validate(self, schema: Mapping[str, Any], value: object, told: str) -> None:
        validator = self._validators.get(id(schema))
        if validator is None:
            whole = {"components": self.content["components"], "allOf": [schema]}
            validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
            self._validators[id(schema)] = validator
        faults = [f"{fault.instance_path}: {fault.message}" for fault in validator.iter_errors(value)]
        if faults:
            raise Undocumented(f"{told}: {'; '.join(faults)[:1000]}")

    def _pattern(self, path: str) -> re.Pattern[str]:
        """On the CDN a name that cannot be is another address, on the API a thing that does not exist."""
        item = self.content["paths"][path]
        parameters = {p["name"]: p for p in map(self.resolve, item.get("parameters", ()))}

        def pattern(match: re.Match[str]) -> str:
            schema = self.resolve(parameters[match[1]]["schema"])
            if "servers" not in item:
                return ".+" if match[1] == "user_id" else "[^/]+"
            if "enum" in schema:
                return f"(?i:{'|'.join(schema['enum'])})"
            return str(schema["pattern"]).strip("^$")

        return re.compile(_PLACEHOLDER.sub(pattern, path.replace(".", r"\.")))


def canonical(target: str) -> str:
    """The path of a request's target, without needless percent signs."""
    return _UNRESERVED.sub(lambda match: chr(int(match[1], 16)), target.partition("?")[0])


@cache
def document() -> Document:
    return Document(FILE.read_text())


def check(answer: httpx2.Response) -> None:
    """A hook of httpx2: every answer that a test sees has to be documented."""
    answer.read()
    document().check(answer)
