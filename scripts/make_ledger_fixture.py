#!/usr/bin/env python3
"""Freeze a ledger as this version writes it: run once per release, before it is tagged.

    scripts/make_ledger_fixture.py [FOLDER]      (default: tests/data)

Writes `ledger-<version>.sqlite` and `ledger-<version>.jsonl` (its export). Tests open the first
with the code of today and compare what they find with the second. Never made again for a version
that was released: the point is that the old code wrote it.
"""

import sys
from pathlib import Path

from ouroboros import __version__
from ouroboros.ledger.store import Store
from ouroboros.model import events as ev
from ouroboros.model.evaluation import (
    Assurance,
    CheckOutcome,
    CheckStatus,
    Evaluation,
    EvaluationStatus,
    Pair,
    Sample,
    SandboxLevel,
    Series,
    Stage,
)
from ouroboros.model.proposal import FileChange, FileStatus
from ouroboros.model.verdict import Decision, Reason, Verdict

_SECOND = 10**9
_START = 1_790_000_000 * _SECOND
_FIRST, _CANDIDATE, _PROMOTED, _REVERTED = ("a" * 40, "b" * 40, "c" * 40, "d" * 40)


def _evaluation() -> Evaluation:
    def side(cpu: int) -> Sample:
        return Sample(cpu_ns=cpu, wall_ns=cpu, rss_bytes=10_000_000)

    pairs = tuple(
        Pair(
            started_ns=_START + n,
            candidate_first=bool(n % 2),
            baseline=side(100_000_000 + n),
            candidate=side(70_000_000 + n),
        )
        for n in range(6)
    )
    return Evaluation(
        status=EvaluationStatus.OK,
        cause="",
        base_commit=_FIRST,
        candidate_commit=_CANDIDATE,
        attempt=1,
        checks=(
            CheckOutcome(name="tests", status=CheckStatus.PASSED, code="ok", text="12 passed"),
        ),
        series=tuple(Series(benchmark="b", stage=stage, pairs=pairs) for stage in Stage),
        assurance=Assurance.TESTS,
        sandbox=SandboxLevel(backend="bwrap", version="0.8.0", limits="cgroup"),
        machine="fixture",
        started_ns=_START,
        wall_ns=5 * _SECOND,
    )


def events() -> list[tuple[str, ev.AnyEvent]]:
    """Return (actor, event): one candidate promoted and rolled back, one rejected, one held."""
    verdict = Verdict(
        decision=Decision.HOLD,
        reasons=(Reason(code="supervised", text="a human decides"),),
        comparisons=(),
        rule="1",
        policy="e" * 64,
        wants_promotion=True,
    )
    return [
        ("engine", ev.TargetAdopted(target="t-1", path="/t", branch="main", commit=_FIRST)),
        ("engine", ev.ConfigLoaded(config_hash="e" * 64, text="f" * 64)),
        (
            "engine",
            ev.EngineStarted(
                engine_version="0.1.0", pid=7, config_hash="e" * 64, mode="supervised"
            ),
        ),
        ("engine", ev.CycleStarted(cycle=1, trigger="interval", base=_FIRST)),
        *_proposed("c1"),
        ("engine", ev.EvaluationStarted(candidate="c1", attempt=1, executor="local")),
        ("engine", ev.Evaluated(candidate="c1", evaluation=_evaluation())),
        ("engine", ev.Held(candidate="c1", verdict=verdict, expires_ns=_START + 10**15)),
        ("engine", ev.CycleFinished(cycle=1, outcome="proposed", proposals=1)),
        ("uid:ann", ev.Approved(candidate="c1", commit=_CANDIDATE, reason="=looks good")),
        (
            "engine",
            ev.PromotionStarted(
                candidate="c1",
                branch="main",
                expected_head=_FIRST,
                commit=_PROMOTED,
                version=1,
            ),
        ),
        ("engine", ev.Promoted(candidate="c1", version=1, commit=_PROMOTED, branch="main")),
        ("engine", ev.Kept(candidate="c1", reason="measured again, no regression")),
        ("uid:ann", ev.Paused(reason="lunch")),
        ("uid:ann", ev.Resumed(reason="back")),
        (
            "uid:ann",
            ev.RollbackStarted(
                candidates=("c1",),
                branch="main",
                expected_head=_PROMOTED,
                commit=_REVERTED,
                version=2,
                restores=0,
                reason="slower for a customer",
            ),
        ),
        (
            "engine",
            ev.RolledBack(
                candidates=("c1",),
                version=2,
                commit=_REVERTED,
                branch="main",
                restores=0,
                reason="slower for a customer",
            ),
        ),
        *_proposed("c2"),
        ("engine", ev.Errored(candidate="c2", room="evaluation", reason="no sandbox")),
        (
            "engine",
            ev.AlertRaised(code="x", severity="warning", text="\x1b[31mred", candidate="c2"),
        ),
        ("engine", ev.EngineStopped(reason="SIGTERM")),
    ]


def _proposed(name: str) -> list[tuple[str, ev.AnyEvent]]:
    files = (FileChange(path="m.py", status=FileStatus.MODIFIED, added=1, removed=1),)
    return [
        (
            "proposer:p",
            ev.Proposed(
                candidate=name,
                cycle=1,
                proposer="p",
                title="quicker é",
                rationale="it was slow",
                base=_FIRST,
                diff="1" * 64,
                idea=f"idea:{name}",
            ),
        ),
        ("engine", ev.Screened(candidate=name, files=files)),
        (
            "engine",
            ev.Applied(
                candidate=name, base=_FIRST, commit=_CANDIDATE, tree="e" * 40, checkpoint="r"
            ),
        ),
    ]


def main(folder: Path) -> int:
    """Write both files; refuses to replace any."""
    ledger = folder / f"ledger-{__version__}.sqlite"
    export = ledger.with_suffix(".jsonl")
    if ledger.exists() or export.exists():
        print(f"{ledger} is there already, and stays as it is")
        return 1
    with Store.open(ledger) as store, export.open("wb") as out:
        for number, (actor, event) in enumerate(events()):
            ts = _START + number * _SECOND
            store.append(event, actor=actor, ts=ts, idem=f"fixture-{number}")
        store.export_jsonl(out)
    ledger.with_name(f"{ledger.name}.mark").unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]) if sys.argv[1:] else Path("tests/data")))
