"""The API's routes: parse, ask, answer."""

import tempfile
from collections.abc import AsyncIterator
from datetime import UTC
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes

import anyio
import msgspec
from prometheus_client import Counter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from libs import service
from libs.errors import INVALID_PARAMETER, INVALID_REQUEST, ApiError, ImageNotFound, Unavailable
from libs.identity import Identity, Signer
from libs.pictures import is_image_id
from libs.usage import Usage
from services.ingest import idempotency
from services.ingest.admission import Admission
from services.ingest.deletions import Deletions, Purged
from services.ingest.form import read_form
from services.ingest.idempotency import parse_key
from services.ingest.images import Cursor, Image, Images
from services.ingest.uploads import Uploads, parse, parse_user_id

# In an account's usage: uploads that were answered with a picture, retries too; pictures that were deleted.
UPLOADS: Final = "uploads"
DELETED: Final = "deleted"
DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 100

LATE: Final = Counter("uploads_late_total", "Uploads given up because nginx would not have waited for longer")


class State(service.State):
    signer: Signer
    admission: Admission
    uploads: Uploads
    upload_seconds: float
    images: Images
    deletions: Deletions
    spool: Path
    cdn_url: str
    usage: Usage


async def upload(request: Request[State]) -> Response:
    """POST /v1/upload"""
    caller = _caller(request)
    length = int(request.headers.get("content-length", 0))
    with anyio.move_on_after(request.state["upload_seconds"]):
        async with request.state["admission"].admit(caller.account_id, length):
            image = await _take(request, caller)
        request.state["usage"].count(caller.account_id, UPLOADS)
        return _json({"success": True} | _describe(image, request))
    LATE.inc()
    raise Unavailable


async def show(request: Request[State]) -> Response:
    """GET /v1/images/{image_id}"""
    caller = _caller(request)
    image_id = request.path_params["image_id"]
    image = is_image_id(image_id) and await request.state["images"].find(caller.account_id, image_id)
    if not image:
        raise ImageNotFound
    return _json({"success": True} | _describe(image, request))


async def delete(request: Request[State]) -> Response:
    """DELETE /v1/images/{image_id}"""
    caller = _caller(request)
    image_id = request.path_params["image_id"]
    purged = is_image_id(image_id) and await request.state["deletions"].image(
        caller.account_id, image_id, caller.request_id
    )
    if not purged:
        raise ImageNotFound
    request.state["usage"].count(caller.account_id, DELETED)
    return _deleted({"image_id": image_id}, purged)


async def delete_user(request: Request[State]) -> Response:
    """DELETE /v1/users/{user_id}"""
    caller = _caller(request)
    # As it was sent: the decoded path holds a U+FFFD for what is not UTF-8, which would be another user's id.
    user_id = parse_user_id(unquote_to_bytes(request.scope["raw_path"].split(b"/", 3)[3]))
    receipt = await request.state["deletions"].user(caller.account_id, user_id, caller.request_id)
    request.state["usage"].count(caller.account_id, DELETED, len(receipt.image_ids))
    answer = {
        "user_id": user_id,
        "image_ids": receipt.image_ids,
        "objects": receipt.purged.objects,
        "nodes": len(receipt.purged.told.acknowledged),
    }
    return _deleted(answer, receipt.purged)


def _deleted(answer: dict[str, object], purged: Purged) -> Response:
    """202 while a node hangs or an object could not be reached: the janitor goes on until it is done."""
    if purged.complete:
        return _json({"success": True} | answer)
    return _json({"success": True} | answer | {"purge": "pending"}, 202)


async def index(request: Request[State]) -> Response:
    """GET /v1/images"""
    caller = _caller(request)
    query = request.query_params
    user_id = parse_user_id(query["user_id"].encode()) if query.get("user_id") else None
    after = Cursor.parse(query["cursor"]) if query.get("cursor") else None
    images, following = await request.state["images"].page(
        caller.account_id, user_id, _limit(query.get("limit")), after
    )
    return _json(
        {
            "success": True,
            "images": [_describe(image, request) for image in images],
            "next_cursor": following.text() if following else None,
        }
    )


async def _take(request: Request[State], caller: Identity) -> Image:
    """The upload's form, spooled in a folder of its own, and what became of it."""
    with tempfile.TemporaryDirectory(dir=request.state["spool"]) as name:
        source, folder = Path(name, "source"), Path(name, "renditions")
        folder.mkdir()
        with source.open("wb") as spool:
            form = await read_form(request.headers.get("content-type"), _body(request), spool)
        key = parse_key(request.headers.getlist(idempotency.HEADER))
        return await request.state["uploads"].take_once(caller, parse(form), source, folder, key)


def _caller(request: Request[State]) -> Identity:
    return request.state["signer"].caller(request)


async def _body(request: Request[State]) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as error:
        raise ApiError(INVALID_REQUEST, "The connection closed before the whole body was sent") from error


def _limit(text: str | None) -> int:
    if not text:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_LIMIT):
        raise ApiError(INVALID_PARAMETER, f"limit must be a whole number from 1 to {MAX_LIMIT}")
    return int(text)


def _describe(image: Image, request: Request[State]) -> dict[str, object]:
    url = f"{request.state['cdn_url']}/{image.image_id}"
    return {
        "image_id": image.image_id,
        "user_id": image.user_id,
        "image_url": url,
        "thumbnail_url": f"{url}?w=150&h=150",
        "upload_date": image.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "file_size": image.file_size,
        "dimensions": {"width": image.width, "height": image.height},
    }


def _json(content: object, status: int = 200) -> Response:
    return Response(
        msgspec.json.encode(content),
        status,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


ROUTES: Final = [
    Route("/v1/upload", upload, methods=["POST"]),
    Route("/v1/images", index, methods=["GET"]),
    Route("/v1/images/{image_id}", show, methods=["GET"]),
    Route("/v1/images/{image_id}", delete, methods=["DELETE"]),
    Route("/v1/users/{user_id:path}", delete_user, methods=["DELETE"]),
]
