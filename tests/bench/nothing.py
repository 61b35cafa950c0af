"""A Starlette app that does nothing: the most that a service could answer behind this nginx."""

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def main() -> Starlette:
    body = os.urandom(int(os.environ["BODY_BYTES"]))

    async def answer(_: Request) -> Response:
        return Response(body, headers={"ETag": '"nothing"'}, media_type="image/jpeg")

    return Starlette(routes=[Route("/{path:path}", answer)])
