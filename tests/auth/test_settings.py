import msgspec
import pytest

from libs.settings import parse
from services.auth.settings import Settings

GOOD = {"DATABASE_URL": "postgresql:///x", "REDIS_URL": "unix:///x", "IDENTITY_SECRETS": "s" * 32}


def test_three_settings_are_enough() -> None:
    settings = parse(Settings, GOOD)
    assert settings.redis_timeout_seconds == 0.04
    assert (settings.key_fresh_seconds, settings.key_stale_seconds) == (60, 600)


@pytest.mark.parametrize("name", list(GOOD))
def test_one_that_is_missing_is_named(name: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=name):
        parse(Settings, {**GOOD, name: ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTH_PROCESSES", "0"),
        ("REDIS_TIMEOUT_SECONDS", "0"),
        ("REDIS_TIMEOUT_SECONDS", "nan"),
        ("DATABASE_TIMEOUT_SECONDS", "31"),
        ("KEY_CACHE_ENTRIES", "many"),
        ("KEY_STALE_SECONDS", "59"),
        ("LOG_LEVEL", "LOUD"),
        ("PLANS", "{}"),
        ("SIGNUP", "ask"),
        ("SIGNUP_PLAN", "gold"),
        ("SIGNUPS_PER_ADDRESS_HOUR", "0"),
        ("IDENTITY_SECRETS", "short"),
        ("IDENTITY_SECRETS", "s" * 32 + ","),
    ],
)
def test_one_that_is_out_of_range_is_named(name: str, value: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=name):
        parse(Settings, {**GOOD, name: value})


def test_secrets_do_not_show() -> None:
    assert "s" * 32 not in repr(parse(Settings, GOOD))
