"""`config.*`: the configuration in force.

Durations and sizes go out in the form in which they stand in the file, not as nanoseconds and
bytes: what a person reads there can be written back, and a program has `ouroboros.config.parse`.
"""

from typing import Any

import msgspec

from ouroboros.config import Config, written
from rpc import wire
from rpc.methods.registry import handles
from rpc.methods.session import Session


@handles(wire.ConfigGet)
async def get(session: Session, _request: wire.ConfigGet) -> wire.ConfigResult:
    """Return the configuration in force."""
    loaded = session.engine.config
    return wire.ConfigResult(
        hash=loaded.hash,
        text=loaded.source.decode(),
        values=effective(loaded.config),
        overrides=dict(loaded.overrides),
    )


def effective(config: Config) -> dict[str, Any]:
    """Return every option with the value in force, as plain values."""
    values: dict[str, Any] = msgspec.to_builtins(config, enc_hook=written)
    return values
