"""Writes nginx's own errors from the public table: `python -m deploy.nginx.errors` (part of `make fmt`)."""

from pathlib import Path
from typing import Final

from libs import errors
from libs.errors import Problem

SNIPPETS: Final = Path(__file__).parent / "snippets"
GENERATED: Final = "# Made by `make fmt` from libs/errors.py: change it there.\n"
RETRY_SECONDS: Final = errors.DEFAULT_RETRY_SECONDS

_REQUEST_TOO_SLOW: Final = "The request did not arrive in time; send it again"
_URL_TOO_LONG: Final = "Shorten the URL"
_HEADERS_TOO_LARGE: Final = "Shorten the headers"
_NOT_IMPLEMENTED: Final = "Send the body with a Content-Length or as Transfer-Encoding: chunked"
_JSON_TOO_LARGE: Final = "Send at most 16,384 bytes of JSON"
_VERSION: Final = "Use HTTP/1.1"

# The status nginx sees -> the status, the problem and the details it answers.
# 494 to 497 are nginx's own names for a kind of 400; a dead or slow service (502, 504) is a 503 to a client.
PAGES: Final[dict[int, tuple[int, Problem, str | None]]] = {
    400: (400, errors.INVALID_REQUEST, None),
    403: (404, errors.NOT_FOUND, None),
    404: (404, errors.NOT_FOUND, None),
    405: (405, errors.METHOD_NOT_ALLOWED, None),
    408: (408, errors.INVALID_REQUEST, _REQUEST_TOO_SLOW),
    411: (400, errors.INVALID_REQUEST, _NOT_IMPLEMENTED),
    413: (413, errors.FILE_TOO_LARGE, None),
    414: (414, errors.INVALID_REQUEST, _URL_TOO_LONG),
    416: (416, errors.INVALID_REQUEST, "Ask for a range that the picture has"),
    429: (429, errors.RATE_LIMIT_EXCEEDED, None),
    494: (400, errors.INVALID_REQUEST, _HEADERS_TOO_LARGE),
    495: (400, errors.INVALID_REQUEST, None),
    496: (400, errors.INVALID_REQUEST, None),
    497: (400, errors.INVALID_REQUEST, "Use https"),
    500: (500, errors.INTERNAL_ERROR, None),
    501: (501, errors.INVALID_REQUEST, _NOT_IMPLEMENTED),
    502: (503, errors.SERVICE_UNAVAILABLE, None),
    503: (503, errors.SERVICE_UNAVAILABLE, None),
    504: (503, errors.SERVICE_UNAVAILABLE, None),
    505: (505, errors.INVALID_REQUEST, _VERSION),
    507: (503, errors.SERVICE_UNAVAILABLE, None),
}


def pages() -> str:
    """The `error_page` lines. Addresses, not named locations: nginx cannot go from a broken URL to a name."""
    lines = [GENERATED]
    lines += [f"error_page {seen} ={status} /_error/{seen};\n" for seen, (status, _, _) in PAGES.items()]
    return "".join(lines)


def _location(
    name: str, status: int, problem: Problem, details: str | None, headers: str = "api-headers"
) -> str:
    text = errors.body(problem, details).decode()
    text = text.replace("'", "\\u0027").replace("$", "\\u0024")
    extra = {
        405: "    add_header Allow $allowed always;\n",
        503: f"    add_header Retry-After {RETRY_SECONDS} always;\n",
        429: f"    add_header Retry-After {RETRY_SECONDS} always;\n",
    }.get(status, "")
    return (
        f"location = /_error/{name} {{\n"
        "    internal;\n"
        f"    include snippets/{headers}.conf;\n"
        "    add_header Cache-Control no-store always;\n"
        f"{extra}"
        f"    return {status} '{text}';\n"
        "}\n"
    )


def locations() -> str:
    """One internal location for each page, the CDN's own 404, and the 400 of a large body of JSON."""
    made = [_location(str(seen), *page) for seen, page in PAGES.items()]
    # As transform's, headers and all: what is deleted answers as what never was.
    made.append(_location("image-not-found", 404, errors.IMAGE_NOT_FOUND, None, "cdn-headers"))
    made.append(_location("json-too-large", 400, errors.INVALID_REQUEST, _JSON_TOO_LARGE))
    return GENERATED + "\n".join(made)


FILES: Final = {"error-pages.conf": pages, "error-locations.conf": locations}


def main() -> None:
    for name, make in FILES.items():
        (SNIPPETS / name).write_text(make())


if __name__ == "__main__":
    main()
