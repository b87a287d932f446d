"""`GET /metrics`: a few gauges in the text format that Prometheus reads."""

from collections import Counter
from collections.abc import Mapping

from ouroboros.engine.api import EngineApi
from ouroboros.model.phase import Phase
from ouroboros.model.state import State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(engine: EngineApi, refused: Mapping[str, int]) -> str:
    """Return the engine's gauges, and the counters of what was refused at the doors."""
    state, status = engine.state, engine.status()
    phases = Counter(c.phase for c in state.candidates.values())
    lines = [
        "# HELP ouroboros_candidates Candidates by phase.",
        "# TYPE ouroboros_candidates gauge",
    ]
    lines += [f'ouroboros_candidates{{phase="{p.value}"}} {phases[p]}' for p in Phase]
    gauges: dict[str, tuple[str, float]] = {
        "versions": ("Promoted states of the target, rollbacks included.", len(state.versions)),
        "versions_active": ("Versions whose change is in the branch.", status.versions_active),
        "paused": ("Whether a human paused the loop.", int(status.paused)),
        "halted": ("Whether the engine stopped itself.", int(bool(status.halt_reason))),
        "ledger_entries": ("Entries of the ledger.", status.seq),
        "cycles": ("Cycles begun.", state.cycles),
        "held_oldest_seconds": (
            "How long the oldest held candidate waits for a human; 0 where none does.",
            _oldest_hold_s(state, status.now_ns),
        ),
        "alerts_unseen": (
            "Alerts that nobody has acknowledged, of the newest.",
            sum(not alert.acked_by for alert in state.alerts),
        ),
        "rollbacks_unfinished": (
            "Rollbacks that were begun and are not done.",
            int(state.intent is not None and state.intent.restores >= 0),
        ),
        "started_seconds": ("When the engine started (Unix time).", status.started_ns / 1e9),
        "clients": ("Open connections.", status.clients),
        "rss_bytes": ("Resident memory of the engine.", status.rss_bytes),
        "cpu_percent": ("CPU of the engine.", status.cpu_percent),
    }
    for name, (text, value) in gauges.items():
        lines += [f"# HELP ouroboros_{name} {text}", f"# TYPE ouroboros_{name} gauge"]
        lines.append(f"ouroboros_{name} {value}")
    if state.serving is not None:
        lines += [
            "# HELP ouroboros_service_up Whether the target's service serves, as last noted.",
            "# TYPE ouroboros_service_up gauge",
            f"ouroboros_service_up {int(state.serving.serves)}",
        ]
    lines += [
        "# HELP ouroboros_rpc_refused_total Requests and connections that were refused, by reason.",
        "# TYPE ouroboros_rpc_refused_total counter",
    ]
    lines += [
        f'ouroboros_rpc_refused_total{{reason="{name}"}} {count}'
        for name, count in sorted(refused.items())
    ]
    return "\n".join(lines) + "\n"


def _oldest_hold_s(state: State, now_ns: int) -> float:
    held = [c.since_ns for c in state.candidates.values() if c.phase is Phase.HELD]
    return max(0.0, (now_ns - min(held)) / 1e9) if held else 0.0
