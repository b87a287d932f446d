"""The engine's side of the circuit breaker: it pauses itself, and calls a human."""

from ouroboros.engine.core import Core
from ouroboros.governor.circuit import circuit_of
from ouroboros.model import events as ev


async def break_circuit(core: Core, name: str = "") -> bool:
    """Pause and call a human where it is open; returns whether the engine is paused by it now."""
    text = "" if core.state.paused else circuit_of(core.state, core.config.config).open
    if text:
        await core.recorder.record(ev.Paused(reason=text))
        await core.alert("circuit_breaker", "critical", text, name)
    return bool(text)
