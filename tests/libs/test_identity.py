import time

import msgspec
import pytest
from itsdangerous import TimestampSigner

from libs.errors import InvalidApiKey, Unavailable
from libs.identity import CLOCK_SKEW_SECONDS, VALID_SECONDS, Identity, Signer, parse_secrets

OLD, NEW, OTHER = "old-secret", "new-secret", "other-secret"
IDENTITY = Identity(
    account_id="acct_1", plan="free", key_id="key_1", method="POST", path="/v1/upload", request_id="r-1"
)


def check(signer: Signer, header: str | None, **changes: str) -> Identity:
    request = {"method": "POST", "path": "/v1/upload", "request_id": "r-1"} | changes
    return signer.check(
        header, method=request["method"], path=request["path"], request_id=request["request_id"]
    )


def signed_at(seconds_from_now: float, monkeypatch: pytest.MonkeyPatch) -> str:
    with monkeypatch.context() as patch:
        patch.setattr(TimestampSigner, "get_timestamp", lambda _: int(time.time() + seconds_from_now))
        return Signer([NEW]).sign(IDENTITY)


def test_what_was_signed_is_what_is_checked() -> None:
    assert check(Signer([NEW]), Signer([NEW]).sign(IDENTITY)) == IDENTITY


@pytest.mark.parametrize(
    "changes", [{"method": "GET"}, {"path": "/v1/images"}, {"request_id": "r-2"}, {"path": "/v1/upload/"}]
)
def test_an_identity_is_good_for_one_request_only(changes: dict[str, str]) -> None:
    with pytest.raises(InvalidApiKey):
        check(Signer([NEW]), Signer([NEW]).sign(IDENTITY), **changes)


def test_an_identity_bound_to_no_request_id_is_refused() -> None:
    with pytest.raises(InvalidApiKey):
        Signer([NEW]).check(Signer([NEW]).sign(IDENTITY), method="POST", path="/v1/upload", request_id=None)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "x",
        msgspec.json.encode(IDENTITY).decode(),
        TimestampSigner(OTHER, salt="identity").sign(msgspec.json.encode(IDENTITY)).decode(),
        TimestampSigner(NEW, salt="another").sign(msgspec.json.encode(IDENTITY)).decode(),
        Signer([OTHER]).sign(IDENTITY),
        Signer([NEW]).sign(IDENTITY)[:-1],
        Signer([NEW]).sign(IDENTITY).replace("free", "pro"),
        Signer([NEW]).sign(IDENTITY).replace("acct_1", "acct_2"),
        "{}" + Signer([NEW]).sign(IDENTITY),
        "\u00e9.\u00e9.\u00e9",
        "..",
    ],
)
def test_an_unsigned_or_forged_identity_is_refused(header: str | None) -> None:
    with pytest.raises(InvalidApiKey):
        check(Signer([NEW]), header)


def test_the_time_cannot_be_changed() -> None:
    payload, _, signature = Signer([NEW]).sign(IDENTITY).rsplit(".", 2)
    _, later, _ = Signer([NEW]).sign(IDENTITY).rsplit(".", 2)
    forged = later[:-1] + ("A" if later[-1] != "A" else "B")
    with pytest.raises(InvalidApiKey):
        check(Signer([NEW]), f"{payload}.{forged}.{signature}")


def test_an_identity_is_good_for_fifteen_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(Signer([NEW]), signed_at(-VALID_SECONDS + 5, monkeypatch)) == IDENTITY
    with pytest.raises(Unavailable):
        check(Signer([NEW]), signed_at(-VALID_SECONDS - 5, monkeypatch))


def test_clocks_may_differ_by_a_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(Signer([NEW]), signed_at(CLOCK_SKEW_SECONDS - 1, monkeypatch)) == IDENTITY
    with pytest.raises(Unavailable):
        check(Signer([NEW]), signed_at(CLOCK_SKEW_SECONDS + 5, monkeypatch))


def test_secrets_rotate_without_a_refusal() -> None:
    """New secrets are accepted everywhere first, then they sign, then the old ones go."""
    before, during, after = Signer([OLD]), Signer([NEW, OLD]), Signer([NEW])
    assert check(during, before.sign(IDENTITY)) == IDENTITY
    assert check(after, during.sign(IDENTITY)) == IDENTITY
    with pytest.raises(InvalidApiKey):
        check(before, during.sign(IDENTITY))


def test_an_identity_of_another_form_is_refused() -> None:
    signer = TimestampSigner(NEW, salt="identity")
    for payload in (b"[]", b"{}", b'{"account_id": 1}', b"\xff"):
        with pytest.raises(InvalidApiKey):
            check(Signer([NEW]), signer.sign(payload).decode("latin-1"))


def test_secrets_are_split_at_commas_and_short_ones_are_refused() -> None:
    assert parse_secrets(f"{'a' * 32}, {'b' * 32}") == ["a" * 32, "b" * 32]
    for short in ("", "a" * 31, f"{'a' * 32},", f"{'a' * 32},short"):
        with pytest.raises(ValueError, match=r"^IDENTITY_SECRETS: "):
            parse_secrets(short)
