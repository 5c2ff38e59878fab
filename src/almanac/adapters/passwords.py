"""Passwords as argon2id keeps them (RFC 9106, second recommended option): slow to try, and 64 MiB of memory for each try."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from argon2 import PasswordHasher

# A hash of nobody's password, with the parameters of all others: trying it takes as long as trying somebody's.
NOBODY: Final = "$argon2id$v=19$m=65536,t=3,p=4$odTUa9VrTkZxkHYQGBrkTQ$/CM8iAqRCDNYTOoPBpJ6yWVsh1PqQX1aCra0D51rYbw"


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher, profiles  # whoever signs nobody in needs none of it

    return PasswordHasher.from_parameters(profiles.RFC_9106_LOW_MEMORY)


def hashed(password: str) -> str:
    """What is kept of it."""
    return _hasher().hash(_bytes(password))


def matches(kept: str, password: str) -> bool:
    """Whether `kept` is of this password."""
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return _hasher().verify(kept, _bytes(password))
    except (VerificationError, InvalidHashError):
        return False


def _bytes(password: str) -> bytes:
    """The same letters are the same bytes, however a keyboard composes them."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
