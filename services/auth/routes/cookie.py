"""The cookie that a browser's session is in."""

from starlette.responses import Response

from services.auth import sessions


def set_cookie(response: Response, token: str, seconds: int) -> None:
    """Secure also on http://localhost, which browsers trust as they do https."""
    response.set_cookie(
        sessions.COOKIE, token, max_age=seconds, path="/", secure=True, httponly=True, samesite="strict"
    )


def cleared(response: Response) -> Response:
    set_cookie(response, "", 0)
    return response
