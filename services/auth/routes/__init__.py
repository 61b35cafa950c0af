"""All that auth answers: nginx's question, and its own part of the API."""

from typing import Final

from starlette.routing import Route

from services.auth.routes import accounts, keys, sessions, usage
from services.auth.routes.authorize import authorize

ROUTES: Final = [
    Route("/authorize", authorize),
    Route("/v1/accounts", accounts.sign_up, methods=["POST"]),
    Route("/v1/account", accounts.show, methods=["GET"]),
    Route("/v1/account", accounts.change, methods=["PATCH"]),
    Route("/v1/account", accounts.close, methods=["DELETE"]),
    Route("/v1/usage", usage.show, methods=["GET"]),
    Route("/v1/keys", keys.index, methods=["GET"]),
    Route("/v1/keys", keys.create, methods=["POST"]),
    Route("/v1/keys/{key_id}", keys.revoke, methods=["DELETE"]),
    Route("/v1/keys/{key_id}/rotate", keys.rotate, methods=["POST"]),
    Route("/v1/session", sessions.sign_in, methods=["POST"]),
    Route("/v1/session", sessions.show, methods=["GET"]),
    Route("/v1/session", sessions.sign_out, methods=["DELETE"]),
    Route("/v1/sessions", sessions.index, methods=["GET"]),
    Route("/v1/sessions", sessions.end_all, methods=["DELETE"]),
    Route("/v1/sessions/{session_id}", sessions.end, methods=["DELETE"]),
]
