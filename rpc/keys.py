"""Secrets of the network's doors: made here, and compared here.

A secret has 256 random bits, so that its plain SHA-256 can be kept: there is nothing to guess, and
a slow hash or a salt protect only what people choose. Comparison takes the same time whatever
differs, and looks at every key, so that time tells neither how much of a guess is right nor
whether there is such a key.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable

from ouroboros.model.state import Token

PREFIX = "ouro_"
"""Secrets begin so: scanners of repositories and logs find what was pasted by mistake."""

LONGEST = 200
"""Characters of what is compared at all."""


def new_secret() -> str:
    """Return a secret that nobody had before."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def find(secret: str, tokens: Iterable[Token], now_ns: int) -> Token | None:
    """Return the token that a secret belongs to, unless it has expired."""
    shown = digest(secret[:LONGEST])
    found: Token | None = None
    for token in tokens:
        same = hmac.compare_digest(token.digest, shown)
        if same and not 0 < token.expires_ns <= now_ns:
            found = token
    return found


def same(secret: str, other: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(digest(secret[:LONGEST]), digest(other))
