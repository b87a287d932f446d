"""What would have changed an answer: one sentence for each reason, with its numbers. Pure."""

import math
from collections.abc import Callable, Iterator, Sequence

from ouroboros.config import Config
from ouroboros.governor.people import approvals_needed
from ouroboros.governor.specs import measured, specs_of
from ouroboros.model.evaluation import Stage
from ouroboros.model.metric import Direction, Role, Scale, amount, pairs_needed
from ouroboros.model.state import Candidate
from ouroboros.model.verdict import Comparison, Outcome, Reason

_APPROVE = "or a human approves it"
_LATER = "for candidates proposed later"


def advice(reason: Reason, c: Candidate, config: Config) -> tuple[str, ...]:
    """Return what would have changed the answer; empty where the reason is no obstacle.

    Args:
        reason: one of the candidate's.
        c: the candidate.
        config: under which it was judged.
    """
    if reason.code in _MEASURED:
        return tuple(_MEASURED[reason.code](reason, c, config))
    if reason.code in _SAID:
        return (_SAID[reason.code].format_map(_facts(c, config)),)
    if reason.code.startswith("screen:"):
        return (f"the same change without what is named here, {_APPROVE}",)
    if reason.code.startswith("error:"):
        return ("find the fault (it is not the candidate's), then propose it again",)
    return ()


def _facts(c: Candidate, config: Config) -> dict[str, object]:
    governor = config.governor
    needed = approvals_needed(config, c.files)
    return {
        "approve": _APPROVE,
        "people": "a human approves" if needed == 1 else f"{needed} people approve",
        "later": _LATER,
        "max_files": governor.max_files,
        "max_lines": governor.max_lines,
        "per_day": governor.limits.promotions_per_day,
        "per_proposer": governor.limits.promotions_per_proposer,
        "reviewers": needed,
        "by": c.proposed_by or "who proposed it",
        "min_gain": f"{governor.autonomy.min_gain:.1%}",
        "containment": governor.min_containment,
        "expiry": f"{governor.hold_expiry / 3.6e12:.4g} hours",
    }


_SAID = {
    "mode_supervised": '{people} it; or [governor] mode = "autonomous" {later}',
    "mode_observe": '[governor] mode = "supervised": then a human can approve it',
    "reviewed_path": "{reviewers} people other than {by} approve it",
    "autonomy_paths": "wider [governor.autonomy] paths {later}, {approve}",
    "autonomy_proposer": "another entry in [governor.autonomy] proposers {later}, {approve}",
    "autonomy_gain": "a confirmed gain of {min_gain} or more, {approve}",
    "promotion_limit": "fewer than {per_day} in 24 hours: lift [governor.limits] "
    "promotions_per_day {later}, {approve}",
    "proposer_limit": "fewer than {per_proposer} in 24 hours: lift [governor.limits] "
    "promotions_per_proposer {later}, {approve}",
    "large_diff": "at most {max_files} files and {max_lines} changed lines, {approve}",
    "low_assurance": "stronger checks: a challenge ([challenges.NAME]) where it asks for one, "
    "{approve}",
    "untested_change": "a test or challenge that executes these lines, {approve}",
    "weak_sandbox": "a run under {containment} ('ouroboros doctor' says what is missing), "
    "{approve}",
    "no_sandbox": "a run inside of a sandbox, {approve}",
    "network": "a run without [sandbox] network, {approve}",
    "too_noisy": "a quieter machine, a benchmark that runs longer, or a wider margin",
    "nothing_measured": "a [benchmarks.NAME] or [challenges.NAME] that runs the changed code, "
    "{approve}",
    "gain_not_in_challenge": "a challenge that calls the changed code and shows the gain, "
    "{approve}",
    "gain_only_reported": "an evaluator for the benchmark, which judges the output apart, "
    "{approve}",
    "tests_failed": "tests that pass",
    "does_not_apply": "a diff against the branch as it is",
    "conflict": "the same change made anew on the branch as it is",
    "expired": "an answer within {expiry} ([governor] hold_expiry)",
    "promotion_blocked": "what stands in the way is out of it; then approve it again",
}


# --- what the numbers say -------------------------------------------------------------------------


def _regressed(reason: Reason, c: Candidate, config: Config) -> Iterator[str]:  # noqa: ARG001
    for k in _named(reason, c, Outcome.REGRESSED):
        margin = _margin(k)
        if k.role == Role.OBJECTIVE:
            yield f"{k.metric} not proven worse, and within {margin} of the baseline"
        else:
            yield f"{k.metric} within {margin} of the baseline"


def _anchor(reason: Reason, c: Candidate, config: Config) -> Iterator[str]:  # noqa: ARG001
    worst = [k for k in _named(reason, c, Outcome.REGRESSED) if k.stage == Stage.ANCHOR]
    for k in worst:
        yield f"{k.metric} within {_margin(k)} of the anchor, which small losses used up"
    if not worst:
        yield (
            f"a proof that nothing is worse than the anchor by more than the margins, {_APPROVE}"
        )


def _no_gain(reason: Reason, c: Candidate, config: Config) -> Iterator[str]:
    for k in _named(reason, c, *Outcome):
        effect = _min_gain(k, config)
        yield f"a proven gain in {k.metric}{_bounds_say(k)}{_pairs_for(k, effect, config)}"


def _inconclusive(reason: Reason, c: Candidate, config: Config) -> Iterator[str]:
    for k in _named(reason, c, *Outcome):
        better = _is_better(k)
        effect = abs(k.change) if better and k.change else _min_gain(k, config)
        yield f"more evidence for {k.metric}{_pairs_for(k, effect, config)}, {_APPROVE}"


def _unproven(reason: Reason, c: Candidate, config: Config) -> Iterator[str]:
    for k in _named(reason, c, Outcome.INCONCLUSIVE):
        proof = f"{k.metric} proven to stay within {_margin(k)}"
        yield f"{proof}{_pairs_for(k, k.margin, config)}, {_APPROVE}"


_MEASURED: dict[str, Callable[[Reason, Candidate, Config], Iterator[str]]] = {
    "regressed": _regressed,
    "anchor_exceeded": _anchor,
    "anchor_unproven": _anchor,
    "no_gain": _no_gain,
    "not_confirmed": _no_gain,
    "inconclusive": _inconclusive,
    "guard_unproven": _unproven,
}


def _named(reason: Reason, c: Candidate, *outcomes: Outcome) -> Sequence[Comparison]:
    """Return the last comparison of each metric that the reason's text begins with."""
    every = c.verdict.comparisons if c.verdict else ()
    last = {
        (k.benchmark, k.metric): k
        for k in every
        if k.outcome in outcomes and f"{reason.text} ".startswith(f"{k.benchmark}: {k.metric} ")
    }
    return tuple(last.values())


def _margin(k: Comparison) -> str:
    return amount(k.scale, k.unit, k.margin, signed=False)


def _min_gain(k: Comparison, config: Config) -> float:
    if k.benchmark not in measured(config):
        return config.governor.min_gain
    specs = specs_of(config, k.benchmark)
    return next((s.min_gain for s in specs if s.name == k.metric), config.governor.min_gain)


def _is_better(k: Comparison) -> bool:
    if k.change is None:
        return False
    return k.change > 0 if k.direction == Direction.HIGHER else k.change < 0


def _bounds_say(k: Comparison) -> str:
    """Return how large a gain may still be, by the bound on its side."""
    bound = k.upper if k.direction == Direction.HIGHER else k.lower
    if bound is None:
        return " (how large one may be is not bounded yet)"
    higher = k.direction == Direction.HIGHER
    if bound == 0 or (bound > 0) is not higher:
        return " (the bounds leave room for none)"
    return f" (the bounds leave room for one of {amount(k.scale, k.unit, bound)} at most)"


def _pairs_for(k: Comparison, effect: float, config: Config) -> str:
    """Return how many more pairs an effect of that size takes at the noise that was seen."""
    total = pairs_for(k, effect)
    if total is None:
        return ""
    size = amount(k.scale, k.unit, effect, signed=False)
    most = config.governor.max_pairs
    if total <= k.pairs:
        return f"; {k.pairs} pairs were enough to show {size} at this noise"
    text = f"; about {total - k.pairs} more pairs would show {size} at this noise"
    return text if total <= most else f"{text} ([governor] max_pairs is {most})"


def pairs_for(k: Comparison, effect: float) -> int | None:
    """Return how many pairs prove an effect of that size; None where the noise is not known.

    Args:
        k: a comparison with its noise.
        effect: a fraction, or for differences in the metric's unit; positive.
    """
    if k.noise is None or not k.noise > 0 or not effect > 0:
        return None
    if k.scale != Scale.RATIO:
        return pairs_needed(k.noise, effect)
    return pairs_needed(math.log1p(k.noise), math.log1p(effect))
