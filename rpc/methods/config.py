"""`config.*`: the configuration in force.

Durations and sizes go out in the form in which they stand in the file, not as nanoseconds and
bytes: what a person reads there can be written back, and a program has `ouroboros.config.parse`.
"""

from typing import Any

import msgspec

from ouroboros.config import Config, Duration, Size
from rpc import wire
from rpc.methods.registry import handles
from rpc.methods.session import Session

_DURATIONS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6}
_SIZES = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}


@handles(wire.ConfigGet)
async def get(session: Session, _request: wire.ConfigGet) -> wire.ConfigResult:
    """Return the configuration in force."""
    loaded = session.engine.config
    return wire.ConfigResult(
        hash=loaded.hash, text=loaded.source.decode(), values=effective(loaded.config)
    )


def effective(config: Config) -> dict[str, Any]:
    """Return every option with the value in force, as plain values."""
    values: dict[str, Any] = msgspec.to_builtins(config, enc_hook=_written)
    return values


def _written(value: object) -> str | float:
    if isinstance(value, Duration):
        return duration_text(value)
    if isinstance(value, Size):
        return size_text(value)
    raise NotImplementedError(type(value))


def duration_text(value: Duration) -> str | float:
    """Return a duration as `parse_duration` reads it: the largest unit that fits exactly."""
    for unit, size in _DURATIONS.items():
        if value % size == 0:
            return f"{value // size}{unit}"
    return value.seconds


def size_text(value: Size) -> str:
    """Return a size as `parse_size` reads it: the largest unit that fits exactly."""
    unit, size = next((u, s) for u, s in _SIZES.items() if value % s == 0)
    return f"{value // size}{unit}"
