"""A verdict in words that an operator reads in seconds. Pure."""

from ouroboros.governor.evidence import numbers
from ouroboros.governor.policy import containment
from ouroboros.model.metric import amount
from ouroboros.model.phase import Phase
from ouroboros.model.snapshot import Explanation
from ouroboros.model.state import Candidate
from ouroboros.model.text import safe_line

_HEADLINES = {
    Phase.HELD: "waits for a human",
    Phase.REJECTED: "was rejected",
    Phase.ERRORED: "could not be judged: a fault of the harness, not of the candidate",
    Phase.CANCELLED: "was cancelled",
    Phase.PROMOTED: "was promoted and is being watched",
    Phase.KEPT: "was promoted and kept",
    Phase.ROLLED_BACK: "was promoted and rolled back",
}


def explain(c: Candidate) -> Explanation:
    """Return headline, reasons, checks and comparisons of a candidate."""
    headline = f"{c.id} ({safe_line(c.title, limit=80)}) {_HEADLINES.get(c.phase, c.phase.value)}"
    lines = [f"{r.code}: {safe_line(r.text, limit=400)}" for r in c.reasons]
    lines += [f"screen: {m.rule} ({m.severity}): {safe_line(m.text)}" for m in c.marks]
    if c.evaluation:
        lines += [
            f"check {k.name}: {k.status} ({k.code}) {safe_line(k.text, limit=300)}"
            for k in c.evaluation.checks
        ]
        lines.append(
            f"assurance: {c.evaluation.assurance}; sandbox: {containment(c.evaluation.sandbox)}"
        )
    if c.verdict:
        lines += [
            f"{k.stage} {k.benchmark} {k.metric} ({k.role}): {k.outcome}, {numbers(k)}, "
            f"margin {amount(k.scale, k.unit, k.margin, signed=False)}"
            for k in c.verdict.comparisons
        ]
        lines.append(f"rule {c.verdict.rule}, policy {c.verdict.policy[:12]}")
    return Explanation(candidate=c.id, headline=headline, lines=tuple(lines))
