"""Bodies of JSON: read with a limit, and refused in words that name the field."""

import re
from typing import Final, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from libs.errors import INVALID_PARAMETER, INVALID_REQUEST, ApiError
from services.auth.routes.state import State

MAX_BYTES: Final = 16 * 1024
MAX_TEXT: Final = 255  # characters

B = TypeVar("B", bound=msgspec.Struct)

_FIELD: Final = re.compile(r"`\$\.(\w+)`$")
_MISSING: Final = re.compile(r"missing required field `(\w+)`")


async def read(request: Request[State], kind: type[B]) -> B:
    """The body as a `kind`, whose unknown fields are forbidden.

    What the client sent never comes back in an error: it may be a key in the wrong place. The media type is
    asked for because a form of another site can send any body but this type.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise ApiError(INVALID_REQUEST, "Send JSON with the header 'Content-Type: application/json'")
    raw = await _bytes(request)
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise ApiError(INVALID_PARAMETER, _explain(str(error), kind)) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ApiError(INVALID_REQUEST, "The body is not valid JSON") from None


async def _bytes(request: Request[State]) -> bytes:
    raw = bytearray()
    try:
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > MAX_BYTES:
                raise ApiError(INVALID_REQUEST, f"Send at most {MAX_BYTES:,} bytes of JSON")
    except ClientDisconnect as error:
        raise ApiError(INVALID_REQUEST, "The connection closed before the whole body was sent") from error
    return bytes(raw)


def _explain(told: str, kind: type[msgspec.Struct]) -> str:
    """What msgspec says in backquotes are names and types of ours; what it says of unknown fields is not."""
    fields = ", ".join(kind.__struct_fields__)
    if missing := _MISSING.search(told):
        return f"The field {missing[1]} is required"
    if field := _FIELD.search(told):
        return f"{field[1]}: {told[: field.start()].removesuffix(' - at ').replace('`', '')}"
    return f"The body must be a JSON object with no other fields than {fields}"


def text(field: str, value: str) -> str:
    """`value` without the white space around it, 1 to 255 characters; raises INVALID_PARAMETER."""
    stripped = value.strip()
    if not 1 <= len(stripped) <= MAX_TEXT or any(_control(character) for character in stripped):
        details = f"{field} must be 1 to {MAX_TEXT} characters without control characters"
        raise ApiError(INVALID_PARAMETER, details)
    return stripped


def _control(character: str) -> bool:
    return ord(character) < 32 or 127 <= ord(character) < 160
