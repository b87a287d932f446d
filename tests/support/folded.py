"""States folded from events alone, as the ledger would hold them: no engine, no disk, no clock."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from ouroboros.model import events as ev
from ouroboros.model.entry import Entry, Stored
from ouroboros.model.evaluation import (
    Assurance,
    Evaluation,
    EvaluationStatus,
    Pair,
    Sample,
    SandboxLevel,
    Series,
    Stage,
)
from ouroboros.model.state import State, advance
from ouroboros.model.verdict import Comparison, Context, Decision, Outcome, Verdict

STEP_NS = 1_000_000_000
"""Time between two entries."""
ADOPTED = ev.TargetAdopted(target="t", path="/t", branch="main", commit="k0")
EVALUATION = Evaluation(
    status=EvaluationStatus.OK,
    cause="",
    base_commit="k0",
    candidate_commit="x",
    attempt=1,
    checks=(),
    series=(),
    assurance=Assurance.TESTS,
    sandbox=SandboxLevel(backend="bwrap", version="1", limits="rlimits"),
    machine="m",
    started_ns=1,
    wall_ns=1,
)
VERDICT = Verdict(
    decision=Decision.HOLD, reasons=(), comparisons=(), rule="r", policy="p", wants_promotion=True
)
COMPARISON = Comparison(
    benchmark="b",
    metric="cpu",
    role="objective",
    stage="anchor",
    outcome=Outcome.IMPROVED,
    pairs=40,
    change=-0.2,
    lower=-0.25,
    upper=-0.15,
    margin=0.05,
    text="",
)


def fold(*parts: ev.AnyEvent | Sequence[ev.AnyEvent], actor: str = "engine") -> State:
    """Return the state after the events, one second apart; the first begins at second 1."""
    state = State()
    flat = [e for part in parts for e in ([part] if isinstance(part, ev.Event) else part)]
    for seq, event in enumerate(flat, 1):
        entry = Entry(
            v=1,
            seq=seq,
            ts=seq * STEP_NS,
            actor=actor,
            idem=f"i{seq}",
            prev=state.head,
            event=event,
        )
        state = advance(state, Stored(entry=entry, hash=f"h{seq}"))
    return state


def series(stage: Stage, count: int, benchmark: str = "b") -> Series:
    one = Sample(cpu_ns=10**8, wall_ns=10**8, rss_bytes=10**7)
    pairs = tuple(
        Pair(started_ns=i, candidate_first=False, baseline=one, candidate=one) for i in range(count)
    )
    return Series(benchmark=benchmark, stage=stage, pairs=pairs)


def proposed(name: str, *, proposer: str = "p", idea: str = "diff:x") -> ev.Proposed:
    return ev.Proposed(
        candidate=name,
        cycle=0,
        proposer=proposer,
        title=name,
        rationale="",
        base="k0",
        diff=f"diff of {name}",
        idea=idea,
    )


def started(name: str, test: int | None = None, **more: str) -> Iterator[ev.AnyEvent]:
    """Yield everything up to an evaluation that runs."""
    context = None
    if test is not None:
        context = Context(test=test, discoveries=0, alpha_improve=0.05, **more)
    yield proposed(name)
    yield ev.Screened(candidate=name, files=())
    yield ev.Applied(candidate=name, base="k0", commit=f"{name}-commit", tree="t", checkpoint="r")
    yield ev.EvaluationStarted(candidate=name, attempt=1, executor="x", context=context)


def evaluated(
    name: str, test: int | None = None, *, count: int = 20, **more: str
) -> Iterator[ev.AnyEvent]:
    """Yield everything up to an evaluation with `count` pairs of its screening."""
    yield from started(name, test, **more)
    measured = (series(Stage.SCREEN, count),) if count else ()
    yield ev.Evaluated(candidate=name, evaluation=replace(EVALUATION, series=measured))


def rejected(name: str, test: int | None = None, **more: int) -> Iterator[ev.AnyEvent]:
    yield from evaluated(name, test, **more)
    verdict = replace(VERDICT, decision=Decision.REJECT, wants_promotion=False)
    yield ev.Rejected(candidate=name, reasons=(), verdict=verdict)


def held(name: str, test: int | None = None, *, wants: bool = True) -> Iterator[ev.AnyEvent]:
    yield from evaluated(name, test)
    verdict = replace(VERDICT, wants_promotion=wants)
    yield ev.Held(candidate=name, verdict=verdict, expires_ns=1)


def accepted(name: str, test: int | None = None) -> Iterator[ev.AnyEvent]:
    yield from evaluated(name, test)
    yield ev.Accepted(candidate=name, verdict=replace(VERDICT, decision=Decision.ACCEPT))


def promoted(name: str, version: int, test: int | None = None) -> Iterator[ev.AnyEvent]:
    """Yield everything up to a promotion without a human."""
    yield from accepted(name, test)
    commit = f"k{version}"
    yield ev.PromotionStarted(
        candidate=name, branch="main", expected_head="h", commit=commit, version=version
    )
    yield ev.Promoted(candidate=name, version=version, commit=commit, branch="main")


def rolled_back(*names: str, version: int, restores: int) -> Iterator[ev.AnyEvent]:
    yield ev.RollbackStarted(
        candidates=names,
        branch="main",
        expected_head="h",
        commit=f"k{version}",
        version=version,
        restores=restores,
        reason="",
    )
    yield ev.RolledBack(
        candidates=names,
        version=version,
        commit=f"k{version}",
        branch="main",
        restores=restores,
        reason="",
    )
