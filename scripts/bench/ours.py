"""The product's own rule on replayed pairs: its `Sequential` objects and its `decide`, no copy.

`Judge` is the seam: a test that wants to see this benchmark fail hands in a judge whose rule is
broken.
"""

import math
from collections.abc import Callable, Iterator

from rivals import Answer, Rule

from ouroboros.config import Config, parse
from ouroboros.governor import compare
from ouroboros.governor.compare import Sequential, rule_for
from ouroboros.governor.decide import Evidence, decide
from ouroboros.model.evaluation import (
    Assurance,
    CheckOutcome,
    CheckStatus,
    Evaluation,
    EvaluationStatus,
    Pair,
    SandboxLevel,
    Series,
    Stage,
)
from ouroboros.model.proposal import FileChange, FileStatus
from ouroboros.model.verdict import Decision, Outcome, Verdict

BENCHMARK = "b"
SCREENING, WHOLE = "ours: screening alone", "ours: screening + confirmation"
E_LOND = "ours: same, e-lond"
NEUTRAL, STRICT = "ours: same, neutral accepted", "ours: same, alpha_improve .005"


def configured(governor: str = "") -> Config:
    """Return a configuration with one benchmark; its mode lets the evidence alone decide."""
    text = f'[governor]\nmode = "autonomous"\n{governor}\n[benchmarks.b]\ncommand = ["true"]\n'
    return parse(text.encode()).config


class Judge:
    """How pairs are judged."""

    def __init__(self, start: Callable[[compare.Rule], Sequential] = Sequential) -> None:
        """Take what makes a comparison of a rule."""
        self._start = start

    def stage(
        self, config: Config, stage: Stage, pairs: Iterator[Pair]
    ) -> tuple[Sequential, Series]:
        """Take pairs until the rule has heard enough."""
        spec = config.benchmarks[BENCHMARK]
        sequential = self._start(rule_for(config.governor, spec, stage))
        taken = []
        while not sequential.settled:
            taken.append(next(pairs))
            sequential.push(taken[-1])
        return sequential, Series(benchmark=BENCHMARK, stage=stage, pairs=tuple(taken))

    def screening(self, config: Config) -> Rule:
        """Return the first stage as a rule."""

        def answer(pairs: Iterator[Pair]) -> Answer:
            sequential, series = self.stage(config, Stage.SCREEN, pairs)
            outcome = sequential.comparison(BENCHMARK, Stage.SCREEN).outcome
            return Answer(outcome, 2 * len(series.pairs))

        return answer

    def whole(self, config: Config) -> Rule:
        """Return the whole verdict as a rule: improved where it would promote for a gain."""

        def answer(pairs: Iterator[Pair]) -> Answer:
            all_ = self.measured(config, pairs)
            verdict = decided(config, all_)
            return Answer(_outcome(verdict), 2 * sum(len(s.pairs) for s in all_))

        return answer

    def measured(self, config: Config, pairs: Iterator[Pair]) -> tuple[Series, ...]:
        """Take the pairs that the executor would: a confirmation of what is worth it."""
        sequential, screened = self.stage(config, Stage.SCREEN, pairs)
        outcomes = {c.metric: c.outcome for c in sequential.comparisons(BENCHMARK, Stage.SCREEN)}
        neutral = config.governor.accept_neutral and outcomes["cpu"] is Outcome.NEUTRAL
        worth = outcomes["cpu"] is Outcome.IMPROVED or neutral
        if Outcome.REGRESSED in outcomes.values() or not worth:
            return (screened,)
        return screened, self.stage(config, Stage.CONFIRM, pairs)[1]

    def harmless(
        self, config: Config, pairs: Iterator[Pair], anchor: Iterator[Pair] | None
    ) -> tuple[bool, int]:
        """Return whether a candidate is accepted that is not better, and the runs that it took.

        Args:
            config: accepts what is neutral.
            pairs: against the head.
            anchor: against the anchor; None where it is the head.
        """
        series = self.measured(config, pairs)
        runs = 2 * sum(len(s.pairs) for s in series)
        if decided(config, series).decision is not Decision.ACCEPT:
            return False, runs
        if anchor is None:
            return True, runs
        sequential, more = self.stage(config, Stage.ANCHOR, anchor)
        outcome = sequential.comparison(BENCHMARK, Stage.ANCHOR).outcome
        return outcome in (Outcome.IMPROVED, Outcome.NEUTRAL), runs + 2 * len(more.pairs)

    def e_lond(self) -> Callable[[int, Iterator[Pair]], tuple[bool, int]]:
        """Return a stream of candidates whose false discoveries are bounded by e-LOND."""
        found = 0

        def answer(number: int, pairs: Iterator[Pair]) -> tuple[bool, int]:
            nonlocal found
            level = level_of(number, found, 0.05)
            given = self.whole(configured(f"alpha_improve = {level!r}"))(pairs)
            found += given.outcome is Outcome.IMPROVED
            return given.outcome is Outcome.IMPROVED, given.runs

        return answer


def level_of(test: int, discoveries: int, q: float) -> float:
    return q * 0.474 / ((test + 1) * math.log(test + 1) ** 2) * (discoveries + 1)


def rules(judge: Judge) -> dict[str, Rule]:
    """Return our rules by what the table calls them."""
    usual = configured()
    return {
        SCREENING: judge.screening(usual),
        WHOLE: judge.whole(usual),
        NEUTRAL: judge.whole(configured("accept_neutral = true")),
        STRICT: judge.whole(configured("alpha_improve = 0.005")),
    }


def decided(config: Config, series: tuple[Series, ...]) -> Verdict:
    """Return the verdict of record on these series."""
    passed = CheckOutcome(name="tests", status=CheckStatus.PASSED, code="ok", text="passed")
    level = SandboxLevel(backend="bwrap", version="", limits="")
    evaluation = Evaluation(
        status=EvaluationStatus.OK,
        cause="",
        base_commit="a" * 40,
        candidate_commit="b" * 40,
        attempt=1,
        checks=(passed,),
        series=series,
        assurance=Assurance.TESTS,
        sandbox=level,
        machine="",
        started_ns=1,
        wall_ns=1,
    )
    change = FileChange(path="a.py", status=FileStatus.MODIFIED, added=1, removed=1)
    evidence = Evidence(
        evaluation=evaluation, files=(change,), marks=(), config=config, config_hash=""
    )
    return decide(evidence)


def _outcome(verdict: Verdict) -> Outcome:
    """Say a verdict in the words of a comparison; what is held or refused unproven is neither."""
    codes = {reason.code for reason in verdict.reasons}
    if verdict.decision is Decision.ACCEPT:
        return Outcome.NEUTRAL if codes == {"neutral"} else Outcome.IMPROVED
    return Outcome.REGRESSED if "regressed" in codes else Outcome.INCONCLUSIVE
