"""The CDN's one route: parse, ask, answer. nginx writes every header that does not depend on the bytes."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from libs import service
from libs.errors import ImageNotFound
from libs.pictures import is_image_id
from services.transform.options import parse
from services.transform.variants import Variants


class State(service.State):
    variants: Variants


async def picture(request: Request[State]) -> Response:
    """GET /{image_id}"""
    image_id = request.path_params["image_id"]
    if not is_image_id(image_id):
        raise ImageNotFound
    variants = request.state["variants"]
    options = parse(request.query_params)
    etag = options.etag(image_id)
    if _has_already(request, etag):
        if not await variants.exists(image_id):
            raise ImageNotFound
        return Response(status_code=304, headers={"ETag": etag})
    variant = await variants.get(image_id, options)
    return Response(variant.data, headers={"ETag": etag}, media_type=variant.format.media_type)


def _has_already(request: Request[State], etag: str) -> bool:
    """Whether nginx revalidates an entry of its cache, or the client sent this validator (decisions/0007)."""
    sent = request.headers.get("if-none-match", "") + "," + request.headers.get("x-if-none-match", "")
    return etag in (one.strip().removeprefix("W/") for one in sent.split(","))


ROUTES: Final = [Route("/{image_id}", picture, methods=["GET"])]
