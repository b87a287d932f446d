"""`GET /metrics`: a few gauges in the text format that Prometheus reads."""

from collections import Counter
from collections.abc import Mapping

from ouroboros.engine.api import EngineApi
from ouroboros.model.phase import Phase

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
        "clients": ("Open connections.", status.clients),
        "rss_bytes": ("Resident memory of the engine.", status.rss_bytes),
        "cpu_percent": ("CPU of the engine.", status.cpu_percent),
    }
    for name, (text, value) in gauges.items():
        lines += [f"# HELP ouroboros_{name} {text}", f"# TYPE ouroboros_{name} gauge"]
        lines.append(f"ouroboros_{name} {value}")
    lines += [
        "# HELP ouroboros_rpc_refused_total Requests and connections that were refused, by reason.",
        "# TYPE ouroboros_rpc_refused_total counter",
    ]
    lines += [
        f'ouroboros_rpc_refused_total{{reason="{name}"}} {count}'
        for name, count in sorted(refused.items())
    ]
    return "\n".join(lines) + "\n"
