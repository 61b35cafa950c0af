"""Every error that a client can receive: one table, one exception, one form."""

from collections.abc import Mapping
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response


class Problem(msgspec.Struct, frozen=True):
    """One row of the public table of errors: its status, code, and default texts."""

    status: int
    code: str
    message: str
    details: str


INVALID_API_KEY: Final = Problem(
    401,
    "INVALID_API_KEY",
    "The API key is missing or invalid",
    "Send a valid API key in the header 'Authorization: Bearer <key>'",
)
INVALID_SESSION: Final = Problem(
    401, "INVALID_SESSION", "You are not signed in, or no longer", "Sign in again with an API key"
)
MISSING_USER_ID: Final = Problem(
    400, "MISSING_USER_ID", "The user_id parameter is required", "Add a form field user_id that is not empty"
)
INVALID_USER_ID: Final = Problem(
    400,
    "INVALID_USER_ID",
    "The user_id parameter is not valid",
    "Use 1 to 255 characters of UTF-8 text without control characters",
)
MISSING_IMAGE: Final = Problem(
    400, "MISSING_IMAGE", "The image file is required", "Add a form part image that holds the picture's bytes"
)
INVALID_IMAGE_FORMAT: Final = Problem(
    400,
    "INVALID_IMAGE_FORMAT",
    "The uploaded file is not a valid image format",
    "Only JPEG, PNG, and WebP files are supported",
)
IMAGE_DIMENSIONS_TOO_LARGE: Final = Problem(
    400,
    "IMAGE_DIMENSIONS_TOO_LARGE",
    "The image has too many pixels",
    "Send at most 12,000 pixels on a side and 50 megapixels in all",
)
INVALID_REQUEST: Final = Problem(
    400, "INVALID_REQUEST", "The request is malformed", "Check the request line, the headers and the body"
)
INVALID_PARAMETER: Final = Problem(
    400, "INVALID_PARAMETER", "A parameter is not valid", "Check the parameters of the URL"
)
FILE_TOO_LARGE: Final = Problem(
    413, "FILE_TOO_LARGE", "The image file exceeds the 10MB size limit", "Send at most 10,485,760 bytes"
)
RATE_LIMIT_EXCEEDED: Final = Problem(
    429,
    "RATE_LIMIT_EXCEEDED",
    "You have exceeded your rate limit",
    "Wait for the seconds in the Retry-After header, then send the request again",
)
IDEMPOTENCY_KEY_IN_USE: Final = Problem(
    409,
    "IDEMPOTENCY_KEY_IN_USE",
    "A request with this idempotency key is still being processed",
    "Wait for the seconds in the Retry-After header, then send the same request again",
)
IDEMPOTENCY_KEY_REUSED: Final = Problem(
    422,
    "IDEMPOTENCY_KEY_REUSED",
    "This idempotency key was used with another request",
    "Use a new key for a new request",
)
QUOTA_EXCEEDED: Final = Problem(
    403, "QUOTA_EXCEEDED", "Your plan's number of images is used up", "Delete images or change the plan"
)
ACCOUNT_SUSPENDED: Final = Problem(
    403, "ACCOUNT_SUSPENDED", "This account is suspended", "Ask the operator of this service"
)
INVALID_CSRF_TOKEN: Final = Problem(
    403,
    "INVALID_CSRF_TOKEN",
    "The CSRF token is missing or invalid",
    "Send the csrf_token of GET /v1/session in the header X-CSRF-Token",
)
SIGNUP_CLOSED: Final = Problem(
    403, "SIGNUP_CLOSED", "Nobody can sign up here", "Ask the operator of this service for an account"
)
INVALID_INVITE: Final = Problem(
    403,
    "INVALID_INVITE",
    "The invite is missing or not valid",
    "Send the code of an invite that is not used up as invite; the operator of this service makes them",
)
TOO_MANY_KEYS: Final = Problem(
    403, "TOO_MANY_KEYS", "This account has as many keys as it can have", "Revoke one that is not needed"
)
KEY_NOT_FOUND: Final = Problem(
    404,
    "KEY_NOT_FOUND",
    "The key does not exist, is revoked or has expired",
    "Use the id of a key of GET /v1/keys",
)
SESSION_NOT_FOUND: Final = Problem(
    404,
    "SESSION_NOT_FOUND",
    "The session does not exist or has ended",
    "Use the id of a session of GET /v1/sessions",
)
IMAGE_NOT_FOUND: Final = Problem(
    404,
    "IMAGE_NOT_FOUND",
    "The requested image does not exist or has been deleted",
    "Check the image id",
)
NOT_FOUND: Final = Problem(
    404, "NOT_FOUND", "There is nothing at this address", "Check the path against the API documentation"
)
METHOD_NOT_ALLOWED: Final = Problem(
    405,
    "METHOD_NOT_ALLOWED",
    "This method is not allowed here",
    "Use one of the methods in the Allow header",
)
SERVICE_UNAVAILABLE: Final = Problem(
    503,
    "SERVICE_UNAVAILABLE",
    "The service is temporarily unavailable",
    "Wait for the seconds in the Retry-After header, then send the request again",
)
INTERNAL_ERROR: Final = Problem(
    500,
    "INTERNAL_ERROR",
    "Something went wrong on our side",
    "Send the request again; if it keeps failing, report the X-Request-Id",
)

NO_STORE: Final = {"Cache-Control": "no-store"}
DEFAULT_RETRY_SECONDS: Final = 5
CHALLENGE: Final = 'Bearer realm="user.photos"'


def body(problem: Problem, details: str | None = None) -> bytes:
    """The error form as JSON, in one line of UTF-8."""
    error = {"code": problem.code, "message": problem.message, "details": details or problem.details}
    return msgspec.json.encode({"success": False, "error": error})


class ApiError(Exception):
    """Raised anywhere, answered in one place: `problem` with `details` for this case and extra headers."""

    def __init__(
        self, problem: Problem, details: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{problem.code}: {details or problem.details}")
        self.problem = problem
        self.details = details
        self.headers = dict(headers or {})

    def __reduce__(self) -> tuple[object, ...]:
        """From a child process it comes as what every subclass is to the client."""
        return ApiError, (self.problem, self.details, self.headers)

    def response(self) -> Response:
        return Response(
            body(self.problem, self.details),
            status_code=self.problem.status,
            headers=NO_STORE | self.headers,
            media_type="application/json",
        )


class ImageNotFound(ApiError):
    """The same answer for an id that never was, was deleted, or is another account's."""

    def __init__(self) -> None:
        super().__init__(IMAGE_NOT_FOUND)


class Unavailable(ApiError):
    """A dependency is down or a queue is full; `details` tells the caller what to do."""

    def __init__(self, details: str | None = None, retry_seconds: int = DEFAULT_RETRY_SECONDS) -> None:
        super().__init__(SERVICE_UNAVAILABLE, details, {"Retry-After": str(retry_seconds)})


class InvalidApiKey(ApiError):
    """RFC 6750 section 3: `error` only where a credential was sent."""

    def __init__(self, *, sent: bool) -> None:
        challenge = CHALLENGE + (', error="invalid_token"' if sent else "")
        super().__init__(INVALID_API_KEY, headers={"WWW-Authenticate": challenge})


class InvalidSession(ApiError):
    """A cookie of no session. A 401 has to name a challenge (RFC 9110 section 15.5.2)."""

    def __init__(self) -> None:
        super().__init__(INVALID_SESSION, headers={"WWW-Authenticate": CHALLENGE})


async def handle(_: Request, error: Exception) -> Response:
    """Starlette's exception handler for `ApiError`."""
    if not isinstance(error, ApiError):
        raise TypeError from error
    return error.response()
