"""Acts that a caller names, so that each is done once, also over a restart.

Who sends an act with an idempotency key and never hears the answer sends it again, maybe to an
engine that was killed and started in between. The first entry that an act records carries its key,
so that the ledger knows whether it was done. The key travels with the task that carries it out and
is used once: what the act sets going later records entries of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class _Act:
    def __init__(self, key: str) -> None:
        self.key = key


_current: ContextVar[_Act | None] = ContextVar("act", default=None)


@contextmanager
def acting(key: str) -> Iterator[None]:
    """Let the first entry that is recorded within carry `key`."""
    token = _current.set(_Act(key))
    try:
        yield
    finally:
        _current.reset(token)


def take_key() -> str:
    """Return the key of the act under way, once; then, and outside of one, empty."""
    act = _current.get()
    if act is None:
        return ""
    key, act.key = act.key, ""
    return key
