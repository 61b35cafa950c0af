"""Ingest asked past nginx, with identities of a test's own making."""

import json

import httpx2

from libs.identity import Identity, Signer, parse_secrets
from tests.stack import Stack


def ingest(stack: Stack) -> httpx2.Client:
    """Past nginx, on its own socket."""
    transport = httpx2.HTTPTransport(uds=str(stack.state.run / f"{stack.names('ingest')[0]}.sock"))
    return httpx2.Client(transport=transport, base_url="http://localhost")


def signer(stack: Stack) -> Signer:
    """Signs as auth does."""
    found = json.loads((stack.state_dir / "secrets.json").read_bytes())
    return Signer(parse_secrets(found["IDENTITY_SECRETS"]))


def forged(method: str, path: str, request_id: str) -> Identity:
    return Identity(
        account_id="1", plan="unlimited", key_id="1", method=method, path=path, request_id=request_id
    )
