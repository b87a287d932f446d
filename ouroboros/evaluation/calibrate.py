"""How noisy a benchmark is on this machine: the baseline against itself.

Two trees of one commit, at paths of equal length, so that even what depends on a path is the same.
Pairs are taken as for a candidate: by the coin, after a rehearsal that is thrown away.
"""

from collections.abc import Sequence

from ouroboros.errors import EvaluationError
from ouroboros.evaluation import needs
from ouroboros.evaluation.dossier import Dossier, Halt
from ouroboros.evaluation.lab import Job
from ouroboros.evaluation.measure import Field, count
from ouroboros.evaluation.sides import Sides
from ouroboros.model.evaluation import Series, Stage

_TWIN = "twin"


async def calibrate(job: Job, names: Sequence[str]) -> tuple[Series, ...]:
    """Take `[governor.calibration] pairs` pairs of each.

    Args:
        job: whose baseline.
        names: of benchmarks and challenges, as their series are named.

    Raises:
        EvaluationError: the baseline failed, or there is no such benchmark.
        SandboxError: the sandbox failed.
    """
    needs.check(job.plan.config)
    base, pairs = job.plan.base_commit, job.plan.config.governor.calibration.pairs
    try:
        async with job.tree(base) as one, job.tree(base, _TWIN) as other:
            sides = Sides(baseline=one, candidate=other)
            async with Field(job, sides, Dossier(), names=names) as field:
                await field.rehearse()
                async with job.lab.measuring:
                    return tuple([await count(job, c, Stage.CALIBRATE, pairs) for c in field.all])
    except Halt as halt:
        raise EvaluationError(
            f"The baseline could not be measured against itself: {halt.cause}",
            hint="Both sides are the baseline here, so that no candidate is to blame.",
        ) from halt
