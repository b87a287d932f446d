"""How a benchmark's failure on one side becomes a check: the candidate's fault, or nobody's."""

from ouroboros.evaluation.lab import Lab
from ouroboros.evaluation.sides import CANDIDATE
from ouroboros.evaluation.suite import LIMIT_CODES, tail
from ouroboros.model.evaluation import CheckOutcome, CheckStatus
from ouroboros.sandbox import Outcome


async def side_failed(
    lab: Lab, what: str, side: str, outcome: Outcome, *, name: str
) -> CheckOutcome:
    """Describe a run of a benchmark that ended badly.

    Args:
        lab: where what it said is kept.
        what: what failed, in words.
        side: `baseline` or `candidate`.
        outcome: how it ended.
        name: of the benchmark.
    """
    how = outcome.text or f"It ended with exit code {outcome.exit_code}."
    text = f"Benchmark {what} failed on the {side}. {how}{tail(outcome)}"
    code = LIMIT_CODES.get(outcome.ending, "benchmark_failed")
    return side_said_no(name, side, code, text, outcome=outcome, log=await lab.log(outcome))


def side_said_no(
    name: str, side: str, code: str, text: str, *, outcome: Outcome | None = None, log: str = ""
) -> CheckOutcome:
    """Make a check of a failure: `failed` of the candidate's, `error` of the baseline's.

    Args:
        name: of the benchmark.
        side: `baseline` or `candidate`.
        code: what it is on the candidate.
        text: for people, safe.
        outcome: of the run, if it is about one.
        log: evidence hash.
    """
    own = side == CANDIDATE
    return CheckOutcome(
        name=f"benchmark:{name}",
        status=CheckStatus.FAILED if own else CheckStatus.ERROR,
        code=code if own else "baseline_benchmark",
        text=text,
        wall_ns=outcome.sample.wall_ns if outcome else 0,
        log=log,
    )
