"""CSRF tokens: what a page of ours can send with its cookie, and another site's cannot know."""

import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

HEADER: Final = "X-CSRF-Token"
SAFE_METHODS: Final = frozenset({"GET", "HEAD"})


class Csrf:
    """Tokens made of a session's id and a secret, so that none is stored; `secrets` as the Signer's."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys = [hmac.digest(secret.encode(), b"csrf", sha256) for secret in secrets]

    def token(self, session_id: str) -> str:
        return _token(self._keys[0], session_id)

    def valid(self, session_id: str, token: str | None) -> bool:
        """Of any of the secrets, so that these can be rotated while people are signed in."""
        sent = (token or "").encode()
        return any(hmac.compare_digest(_token(key, session_id).encode(), sent) for key in self._keys)


def _token(key: bytes, session_id: str) -> str:
    return hmac.digest(key, session_id.encode(), sha256).hex()
