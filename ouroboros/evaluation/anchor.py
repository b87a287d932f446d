"""Against the anchor: an older commit that bounds what small losses may add up to.

Both sides run today's benchmarks: the anchor's tree gets today's protected files, and today's tree
makes the inputs and judges the outputs. What the anchor computes may differ from what is right
today, since people have changed it: then it is no measure any more, and that is said in words
(`anchor_cause`) and is nobody's failure. A candidate that breaks down here fails as anywhere.
"""

import hashlib
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

from ouroboros.errors import OuroborosError
from ouroboros.evaluation import exact
from ouroboros.evaluation.dossier import Dossier, Halt
from ouroboros.evaluation.lab import Job
from ouroboros.evaluation.measure import Field, quiet, take
from ouroboros.evaluation.protected import take_over
from ouroboros.evaluation.sides import Sides
from ouroboros.model.evaluation import EvaluationStatus, Stage


async def bound(job: Job, sides: Sides, dossier: Dossier) -> None:
    """Measure a candidate against the anchor of its plan, if it has one. `measuring` is held.

    Raises:
        Halt: the candidate failed.
    """
    context, base = job.plan.context, job.plan.base_commit
    if context is None or not context.anchor:
        return
    job.report("anchor")
    found = Dossier()
    try:
        async with _anchor_tree(job, context.anchor, base, sides.baseline) as tree:
            against = Sides(baseline=tree, candidate=sides.candidate, judge=sides.baseline)
            await _measure(job, against, found)
    except Halt as halt:
        if halt.status is EvaluationStatus.FAILED:
            dossier.stop(found.checks[-1])
        dossier.anchor_cause = f"{halt.cause} (Here the baseline is the anchor.)"
    except OuroborosError as error:
        dossier.anchor_cause = str(error)
    else:
        dossier.series += found.series
        dossier.exact += found.exact
        dossier.anchor_commit = context.anchor


async def estimate(job: Job, dossier: Dossier) -> None:
    """Measure a head (the plan's candidate) against the anchor (its base), and nothing else.

    Raises:
        Halt: a side failed.
        OuroborosError: the anchor cannot be measured.
    """
    plan = job.plan
    async with (
        job.tree(plan.candidate_commit) as head,
        _anchor_tree(job, plan.base_commit, plan.candidate_commit, head) as tree,
    ):
        sides = Sides(baseline=tree, candidate=head, judge=head)
        async with job.lab.measuring:
            await _measure(job, sides, dossier)
    dossier.anchor_commit = plan.base_commit


def _anchor_tree(
    job: Job, anchor: str, today: str, source: Path
) -> AbstractAsyncContextManager[Path]:
    """Lend the anchor's tree with today's protected files."""
    patterns = job.plan.config.governor.protected
    flavour = hashlib.sha256(repr((today, patterns)).encode()).hexdigest()
    return job.tree(anchor, flavour, partial(take_over, source=source, patterns=patterns))


async def _measure(job: Job, sides: Sides, dossier: Dossier) -> None:
    async with Field(job, sides, dossier, exam=False) as field:
        contestants = quiet(job.plan, field.all)
        for contestant in contestants:
            await contestant.rehearse()
        for contestant in contestants:
            await exact.take(job, sides, contestant.name, Stage.ANCHOR, dossier)
            await take(job, contestant, Stage.ANCHOR, dossier)
