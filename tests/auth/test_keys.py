import re

from hypothesis import given
from hypothesis import strategies as st

from services.auth import keys

KEY = "up_live_" + "0" * 32 + "0feaLO"


def test_a_key_is_the_prefix_32_characters_and_6_of_a_checksum() -> None:
    key = keys.new_key()
    assert re.fullmatch(r"up_live_[0-9A-Za-z]{38}", key)
    assert keys.is_key(key)


def test_no_two_keys_are_alike() -> None:
    assert len({keys.new_key() for _ in range(1000)}) == 1000


def test_the_checksum_is_that_of_the_documentation() -> None:
    """Scanners outside of this repository know it: it may not change."""
    assert keys.checksum("up_live_" + "0" * 32) == KEY[-6:]


@given(st.integers(0, 45), st.sampled_from(keys.ALPHABET))
def test_a_key_with_one_wrong_character_is_noise(place: int, character: str) -> None:
    wrong = KEY[:place] + character + KEY[place + 1 :]
    assert keys.is_key(wrong) == (wrong == KEY)


@given(st.text(max_size=60))
def test_noise_is_never_a_key(text: str) -> None:
    assert not keys.is_key(text)


def test_other_alphabets_surrounding_space_and_a_line_break_are_noise() -> None:
    for wrong in (KEY + "\n", " " + KEY, KEY.replace("0", "\u0660"), KEY[:-1], KEY + "0", ""):
        assert not keys.is_key(wrong)


def test_what_is_stored_is_a_sha256() -> None:
    assert keys.digest(KEY).hex() != KEY
    assert len(keys.digest(KEY)) == 32
