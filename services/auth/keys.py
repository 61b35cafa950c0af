"""API keys: how one looks, is made, is recognised and is stored."""

import re
import secrets
import string
import zlib
from hashlib import sha256
from typing import Final

PREFIX: Final = "up_live_"
ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_CHARACTERS: Final = 32  # 190 bits
CHECKSUM_CHARACTERS: Final = 6  # 62**6 > 2**32

_KEY: Final = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{RANDOM_CHARACTERS + CHECKSUM_CHARACTERS}}}")


def new_key() -> str:
    """A key that nobody has: shown once, and kept only as its digest."""
    unchecked = PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_CHARACTERS))
    return unchecked + checksum(unchecked)


def new_key_id() -> str:
    """What a key is called where the key itself must not be shown."""
    return f"key_{secrets.token_hex(8)}"


def hint(key: str) -> str:
    """The last characters, by which its owner knows it: 24 bits of the checksum, of no help to a guesser."""
    return key[-4:]


def checksum(unchecked: str) -> str:
    """CRC32 of everything before it in base62: a scanner tells a leaked key from noise without asking us."""
    rest = zlib.crc32(unchecked.encode())
    digits = ""
    for _ in range(CHECKSUM_CHARACTERS):
        rest, digit = divmod(rest, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


def is_key(text: str) -> bool:
    """Whether `text` is one of our keys by form and checksum; noise ends here, before the database."""
    return (
        _KEY.fullmatch(text) is not None
        and checksum(text[:-CHECKSUM_CHARACTERS]) == text[-CHECKSUM_CHARACTERS:]
    )


def digest(key: str) -> bytes:
    """The 32 bytes that are stored and searched for.

    A search by digest needs no comparison in constant time: whoever times it learns about the digest of a
    guess, and cannot steer a SHA-256 towards the digest of a key with 190 random bits. The same bits are why
    no slow password hash is needed.
    """
    return sha256(key.encode()).digest()
