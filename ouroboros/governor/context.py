"""What steers an evaluation and an answer besides plan and policy: pure, from the ledger's state.

A `Context` is fixed when an evaluation starts and a `Moment` when it is answered; both are written
down, so that whoever doubts a verdict computes them again from the entries before it.

One test is one idea. An attempt that starts over keeps its number, and so does a proposal that is
alike to an earlier one (`governor.similar`): it goes on with the pairs that are there, instead of
drawing a new ticket in the lottery of noise. Evidence that wanted to promote is never handed on:
who has won needs no second ticket, and what is only alike must prove itself on pairs of its own.
Nor is that of what was promoted, which is in the branch or was refuted by a rollback. There a new
test begins.
"""

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from ouroboros.config import Config
from ouroboros.governor.budget import level
from ouroboros.governor.calibration import table_of
from ouroboros.governor.noise import not_measured, too_noisy
from ouroboros.governor.specs import measured
from ouroboros.model.evaluation import Evaluation, Series, Stage
from ouroboros.model.metric import Noise
from ouroboros.model.phase import Phase
from ouroboros.model.state import Candidate, State
from ouroboros.model.verdict import Context, Moment

DAY_NS = 24 * 3600 * 1_000_000_000

_UNMEASURED = frozenset({Phase.PROPOSED, Phase.SCREENED, Phase.APPLIED, Phase.EVALUATING})
_ABOUT_TO = frozenset({Phase.ACCEPTED, Phase.PROMOTING})
_PROMOTED = frozenset(
    {Phase.PROMOTING, Phase.PROMOTED, Phase.KEPT, Phase.ROLLING_BACK, Phase.ROLLED_BACK}
)


def context_of(
    state: State, c: Candidate, config: Config, *, machine: str, continues: str = ""
) -> Context:
    """Return the context of an evaluation that starts now.

    Args:
        state: before the entry that starts it.
        c: the candidate; one that was started before keeps number, discoveries and what it
            continues.
        config: its policy.
        machine: as the executor names it.
        continues: candidate whose evidence it goes on with (`continued`), or empty.
    """
    continues = c.context.continues if c.context else continues
    first = c.context or (state.candidates[continues].context if continues else None)
    test = first.test if first else state.tests + 1
    discoveries = first.discoveries if first else state.discoveries
    noise = noise_in_force(state, config, machine)
    return Context(
        test=test,
        discoveries=discoveries,
        alpha_improve=level(config.governor, test=test, discoveries=discoveries),
        anchor=anchor_of(state, c, config),
        continues=continues,
        noise=noise,
        too_noisy=not_measured(too_noisy(config, noise, machine)),
    )


def anchor_context(state: State, config: Config, *, machine: str) -> Context:
    """Return the context of a measurement of head against the anchor: it is no test of an idea."""
    noise = noise_in_force(state, config, machine)
    return Context(
        test=0,
        discoveries=state.discoveries,
        alpha_improve=config.governor.alpha_improve,
        noise=noise,
        too_noisy=not_measured(too_noisy(config, noise, machine)),
    )


def noise_in_force(state: State, config: Config, machine: str) -> tuple[Noise, ...]:
    """Return the calibrations of this machine that are of the benchmarks as configured."""
    tables = {name: table_of(config, name) for name in measured(config)}
    return tuple(
        n for n in state.noise if n.machine == machine and n.table == tables.get(n.benchmark)
    )


def anchor_of(state: State, c: Candidate, config: Config) -> str:
    """Return the commit against which the cumulative budget is checked; empty where it is not."""
    if state.anchor is None or not config.governor.budget.cumulative:
        return ""
    return "" if state.anchor.commit == c.base else state.anchor.commit


def moment_of(state: State, c: Candidate, now_ns: int) -> Moment:
    """Return what the governor is to know when it answers.

    Counted are promotions of the last 24 hours that no human approved, also those rolled back
    since, and the accepted ones that are about to be promoted: they take their place already.
    """
    since = now_ns - DAY_NS
    ours = [v.candidate for v in state.versions if v.candidate and v.ts > since]
    ours += [o.id for o in state.candidates.values() if o.phase in _ABOUT_TO]
    unasked = [state.candidates[name] for name in ours if not state.candidates[name].approved_by]
    return Moment(
        now_ns=now_ns,
        promotions=len(unasked),
        promotions_of_proposer=sum(o.proposer == c.proposer for o in unasked),
    )


# --- ideas that came before -----------------------------------------------------------------------


def family(state: State, c: Candidate, alike: Collection[str]) -> tuple[Candidate, ...]:
    """Return the earlier candidates of the same idea, oldest first.

    Args:
        state: with all candidates.
        c: the new one; only what was proposed before it counts, so that no two wait for each other.
        alike: ids of candidates whose diffs are alike to its own. Who continued the same test as
            one of them belongs to it: else each of many small steps would be a step from the first.
    """
    earlier = []
    for other in state.candidates.values():
        if other.id == c.id:
            break
        earlier.append(other)
    tests = {o.context.test for o in earlier if o.id in alike and o.context}
    return tuple(
        o for o in earlier if o.id in alike or (o.context is not None and o.context.test in tests)
    )


def unmeasured(kin: Sequence[Candidate]) -> tuple[str, ...]:
    """Return whose measurement is to be awaited before one of the same idea starts."""
    return tuple(o.id for o in kin if o.phase in _UNMEASURED)


def continued(kin: Sequence[Candidate]) -> str:
    """Return the candidate whose evidence is to be continued; empty where a new test begins."""
    newest = next((o for o in reversed(kin) if pairs_of(o.evaluation)), None)
    if newest is None or newest.discovered or newest.phase in _PROMOTED:
        return ""
    return newest.id


def pairs_of(evaluation: Evaluation | None) -> int:
    """Return how many pairs compared candidate and baseline."""
    if evaluation is None:
        return 0
    stages = (Stage.SCREEN, Stage.CONFIRM)
    return sum(len(s.pairs) for s in evaluation.series if s.stage in stages)


def prior_of(earlier: Candidate, then: Config, now: Config, *, anchor: str) -> tuple[Series, ...]:
    """Return the pairs to go on from, all of them inherited.

    Left out are those of a benchmark that is another one by now, and those against another anchor.

    Args:
        earlier: whose evidence is continued.
        then: the policy under which it was measured.
        now: the policy of the one that continues.
        anchor: against which the one that continues is measured.
    """
    evaluation = earlier.evaluation
    if evaluation is None:
        return ()
    stages = {Stage.SCREEN, Stage.CONFIRM}
    if anchor and evaluation.anchor_commit == anchor:
        stages.add(Stage.ANCHOR)
    old, new = measured(then), measured(now)
    return tuple(
        replace(s, inherited=len(s.pairs))
        for s in evaluation.series
        if s.stage in stages and s.benchmark in new and old.get(s.benchmark) == new[s.benchmark]
    )
