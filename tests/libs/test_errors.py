import json
import pickle
from typing import Any

import pytest
from starlette.requests import Request

from libs import errors
from libs.errors import ApiError, ImageNotFound, InvalidApiKey, Problem, Unavailable

# What clients have been promised: the public documentation and the design's table.
PROMISED = {
    "INVALID_API_KEY": 401,
    "INVALID_SESSION": 401,
    "MISSING_USER_ID": 400,
    "INVALID_USER_ID": 400,
    "MISSING_IMAGE": 400,
    "INVALID_IMAGE_FORMAT": 400,
    "IMAGE_DIMENSIONS_TOO_LARGE": 400,
    "INVALID_REQUEST": 400,
    "INVALID_PARAMETER": 400,
    "FILE_TOO_LARGE": 413,
    "RATE_LIMIT_EXCEEDED": 429,
    "IDEMPOTENCY_KEY_IN_USE": 409,
    "IDEMPOTENCY_KEY_REUSED": 422,
    "QUOTA_EXCEEDED": 403,
    "ACCOUNT_SUSPENDED": 403,
    "INVALID_CSRF_TOKEN": 403,
    "SIGNUP_CLOSED": 403,
    "INVALID_INVITE": 403,
    "TOO_MANY_KEYS": 403,
    "KEY_NOT_FOUND": 404,
    "SESSION_NOT_FOUND": 404,
    "IMAGE_NOT_FOUND": 404,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "SERVICE_UNAVAILABLE": 503,
    "INTERNAL_ERROR": 500,
}


def parsed(error: ApiError) -> Any:
    return json.loads(bytes(error.response().body))


def test_every_promised_code_has_its_status() -> None:
    table = {value.code: value.status for value in vars(errors).values() if isinstance(value, Problem)}
    assert table == PROMISED


def test_the_documented_error_is_answered_as_documented() -> None:
    assert parsed(ApiError(errors.INVALID_IMAGE_FORMAT)) == {
        "success": False,
        "error": {
            "code": "INVALID_IMAGE_FORMAT",
            "message": "The uploaded file is not a valid image format",
            "details": "Only JPEG, PNG, and WebP files are supported",
        },
    }


def test_an_answer_is_json_that_no_cache_keeps() -> None:
    response = ApiError(errors.NOT_FOUND).response()
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"


def test_details_and_headers_are_of_the_case() -> None:
    error = ApiError(errors.METHOD_NOT_ALLOWED, "Use GET", {"Allow": "GET"})
    assert parsed(error)["error"]["details"] == "Use GET"
    assert error.response().headers["allow"] == "GET"


def test_what_is_unavailable_says_when_to_come_back() -> None:
    assert Unavailable(retry_seconds=7).response().headers["retry-after"] == "7"


def test_an_error_that_comes_from_another_process_is_answered_as_it_was_raised() -> None:
    for error in (Unavailable("Wait", retry_seconds=7), ApiError(errors.INVALID_IMAGE_FORMAT, "Cut short")):
        copy = pickle.loads(pickle.dumps(error))
        assert (copy.response().status_code, copy.response().raw_headers, parsed(copy)) == (
            error.response().status_code,
            error.response().raw_headers,
            parsed(error),
        )


def test_a_challenge_names_an_error_only_where_a_key_was_sent() -> None:
    assert InvalidApiKey(sent=False).headers["WWW-Authenticate"] == 'Bearer realm="user.photos"'
    sent = InvalidApiKey(sent=True).headers["WWW-Authenticate"]
    assert sent == 'Bearer realm="user.photos", error="invalid_token"'


@pytest.mark.anyio
async def test_the_handler_answers_our_errors_and_no_others() -> None:
    request = Request({"type": "http"})
    assert (await errors.handle(request, ImageNotFound())).status_code == 404
    with pytest.raises(TypeError):
        await errors.handle(request, ValueError())
