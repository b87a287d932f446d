"""The circuit breaker: after too many faults or rollbacks in a row the engine stops itself."""

from ouroboros.config import Config
from ouroboros.engine.core import Core
from ouroboros.model import events as ev
from ouroboros.model.state import State, errors_in_a_row, rollbacks_in_a_row


def tripped(state: State, config: Config) -> str:
    """Return why the circuit is open, or empty. A resume closes it."""
    errors, rollbacks = errors_in_a_row(state), rollbacks_in_a_row(state)
    if errors >= config.engine.max_errors_in_a_row:
        newest = max(
            (c for c in state.candidates.values() if c.phase == "errored"),
            key=lambda c: c.since_ns,
        )
        last = newest.reasons[0].text if newest.reasons else "unknown"
        return f"{errors} candidates in a row ended in error; the last: {last}"
    if rollbacks >= config.governor.limits.rollbacks_in_a_row:
        return (
            f"{rollbacks} promotions in a row were rolled back by the watch. Find out why, then "
            "resume."
        )
    return ""


async def break_circuit(core: Core, name: str = "") -> bool:
    """Pause and call a human where it is open; returns whether the engine is paused by it now."""
    text = "" if core.state.paused else tripped(core.state, core.config.config)
    if text:
        await core.recorder.record(ev.Paused(reason=text))
        await core.alert("circuit_breaker", "critical", text, name)
    return bool(text)
