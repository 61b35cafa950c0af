"""Who is calling: stated and signed by auth, checked by the services behind nginx."""

import time
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec
from itsdangerous import BadSignature, TimestampSigner
from prometheus_client import Counter
from starlette.requests import Request

from libs.errors import InvalidApiKey, Unavailable

VALID_SECONDS: Final = 15 * 60  # nginx buffers the whole body between signing and checking
CLOCK_SKEW_SECONDS: Final = 5
HEADER: Final = "X-Identity"
REQUEST_ID_HEADER: Final = "X-Edge-Request-Id"
SCOPE: Final = "identity"  # of a request: its key in the ASGI scope

OUT_OF_TIME: Final = Counter(
    "identity_out_of_time_total",
    "Requests refused because auth's clock and ours differ, or the body took too long",
)

MIN_SECRET_CHARACTERS: Final = 32


def parse_secrets(text: str) -> list[str]:
    """IDENTITY_SECRETS, comma separated, newest first. Raises ValueError that names the setting."""
    secrets = [part.strip() for part in text.split(",")]
    if any(len(secret) < MIN_SECRET_CHARACTERS for secret in secrets):
        raise ValueError(f"IDENTITY_SECRETS: each needs at least {MIN_SECRET_CHARACTERS} characters")
    return secrets


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """A caller, and the one request that it may make.

    `request_id` is nginx's own, never the client's: ingest uses it to recognise a retry by nginx.
    `session_id`: of the session that the caller came with, where it was not a key.
    `dashboard`: the request takes from the bucket of the account's sessions, and does not count as a call.
    `image_limit`: how many images the plan lets the account keep; None is unlimited.
    """

    account_id: str
    plan: str
    key_id: str
    method: str
    path: str
    request_id: str
    session_id: str | None = None
    dashboard: bool = False
    image_limit: int | None = None


class Signer:
    """Signs and checks identities; `secrets` are newest first, the first signs, all are accepted."""

    def __init__(self, secrets: Sequence[str]) -> None:
        # itsdangerous wants its keys oldest first and signs with the last.
        self._signer = TimestampSigner(list(reversed(secrets)), salt="identity", digest_method=sha256)
        self._decoder = msgspec.json.Decoder(Identity)

    def sign(self, identity: Identity) -> str:
        return self._signer.sign(msgspec.json.encode(identity)).decode()

    def caller(self, request: Request[Any]) -> Identity:
        """Who makes this request, which knows it from now on; raises as `check`."""
        identity = self.check(
            request.headers.get(HEADER),
            method=request.method,
            path=request.scope["raw_path"].decode("latin-1"),
            request_id=request.headers.get(REQUEST_ID_HEADER),
        )
        request.scope[SCOPE] = identity
        return identity

    def check(self, header: str | None, *, method: str, path: str, request_id: str | None) -> Identity:
        """The identity in `header`.

        Raises InvalidApiKey where it is not one for this very request, and Unavailable where it is and its
        time is off: then it is our clocks that differ, and the caller's key is as good as ever.
        """
        if not header:
            raise InvalidApiKey(sent=False)
        try:
            payload, signed_at = self._signer.unsign(header, return_timestamp=True)
            identity = self._decoder.decode(payload)
        except (BadSignature, msgspec.DecodeError) as error:
            raise InvalidApiKey(sent=True) from error
        age = time.time() - signed_at.timestamp()
        bound = (identity.method, identity.path, identity.request_id) == (method, path, request_id)
        if not bound:
            raise InvalidApiKey(sent=True)
        if not -CLOCK_SKEW_SECONDS <= age <= VALID_SECONDS:
            OUT_OF_TIME.inc()
            raise Unavailable
        return identity
