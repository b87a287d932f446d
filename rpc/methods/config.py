"""`config.*`: the configuration in force.

Durations and sizes go out in the form in which they stand in the file, not as nanoseconds and
bytes: what a person reads there can be written back, and a program has `ouroboros.config.parse`.
"""

from typing import Any

import msgspec

from ouroboros.config import Config, written
from ouroboros.model.insight import ConfigChange, ConfigCheck
from rpc import wire
from rpc.methods.checks import within
from rpc.methods.registry import handles
from rpc.methods.session import Session

PAGE = 500
"""Most changes of one answer."""


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


@handles(wire.ConfigHistory)
async def history(session: Session, request: wire.ConfigHistory) -> tuple[ConfigChange, ...]:
    """Return the newest changes."""
    within("limit", request.limit, 1, PAGE)
    return await session.engine.inside.config_history(request.limit)


@handles(wire.ConfigValidate)
async def validate(session: Session, request: wire.ConfigValidate) -> ConfigCheck:
    """Try a configuration without taking it."""
    return session.engine.inside.check_config(request.text)
