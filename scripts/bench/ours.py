"""The product's own rule on replayed pairs: its `Sequential` objects and its `decide`, no copy.

`Judge` is the seam: a test that wants to see this benchmark fail hands in a judge whose rule is
broken.
"""

from collections.abc import Callable, Iterator

from msgspec.structs import replace
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
    Purpose,
    SandboxLevel,
    Series,
    Stage,
)
from ouroboros.model.proposal import FileChange, FileStatus
from ouroboros.model.verdict import Context, Decision, Outcome, Verdict

BENCHMARK = "b"
SCREENING, WHOLE = "ours: screening alone", "ours: screening + confirmation"
E_LOND = "ours: same, e-lond"
NEUTRAL, WATCH = "ours: same, neutral accepted", "ours: watch"
ANCHOR = "c" * 40


def configured(governor: str = "") -> Config:
    """Return a configuration with one benchmark; its mode lets the evidence alone decide."""
    text = f'[governor]\nmode = "autonomous"\n{governor}\n[benchmarks.b]\ncommand = ["true"]\n'
    return parse(text.encode()).config


class Judge:
    """How pairs are judged."""

    def __init__(self, start: Callable[[compare.Rule, int], Sequential] = Sequential) -> None:
        """Take what makes a comparison of a rule and the number of inherited pairs."""
        self._start = start

    def stage(
        self, config: Config, stage: Stage, pairs: Iterator[Pair], level: float | None = None
    ) -> tuple[Sequential, Series]:
        """Take pairs until the rule has heard enough.

        Args:
            config: the configuration.
            stage: which.
            pairs: where they come from.
            level: of "improved", where it is not that of the configuration.
        """
        sequential = self._start(rule_for(config, BENCHMARK, stage, alpha_improve=level), 0)
        taken = []
        while not sequential.settled:
            taken.append(next(pairs))
            sequential.push(taken[-1])
        return sequential, Series(benchmark=BENCHMARK, stage=stage, pairs=tuple(taken))

    def screening(self, config: Config) -> Rule:
        """Return the first stage as a rule."""

        def answer(pairs: Iterator[Pair]) -> Answer:
            sequential, series = self.stage(config, Stage.SCREEN, pairs)
            outcome = sequential.outcome("cpu")
            return Answer(outcome, 2 * len(series.pairs))

        return answer

    def watch(self) -> Rule:
        """Return what looks after a promotion as a rule: for losses only, and never given up."""
        rule = rule_for(configured(), BENCHMARK, Stage.SCREEN, purpose=Purpose.WATCH)

        def answer(pairs: Iterator[Pair]) -> Answer:
            sequential = self._start(rule, 0)
            while not sequential.settled:
                sequential.push(next(pairs))
            outcome = sequential.outcome("cpu")
            return Answer(outcome, 2 * sequential.pairs)

        return answer

    def continued(self, prior: list[Pair], pairs: Iterator[Pair]) -> Outcome:
        """Screen an idea once more, on from the pairs that are there; new ones join them."""
        sequential = self._start(rule_for(configured(), BENCHMARK, Stage.SCREEN), len(prior))
        for pair in prior:
            sequential.push(pair)
        while not sequential.settled:
            prior.append(replace(next(pairs), started_ns=len(prior)))
            sequential.push(prior[-1])
        return Outcome.IMPROVED if sequential.improved else Outcome.INCONCLUSIVE

    def whole(self, config: Config) -> Rule:
        """Return the whole verdict as a rule: improved where it would promote for a gain."""

        def answer(pairs: Iterator[Pair]) -> Answer:
            return self.verdict(config, pairs)

        return answer

    def verdict(
        self,
        config: Config,
        pairs: Iterator[Pair],
        *,
        anchor: Iterator[Pair] | None = None,
        level: float | None = None,
    ) -> Answer:
        """Take the pairs that the executor would, and decide.

        What is regressed, or not worth a confirmation, is never promoted, so that nothing is asked
        of the decision that costs time: bounds are most of it.

        Args:
            config: the configuration.
            pairs: against the baseline.
            anchor: against the anchor; None where it is the baseline.
            level: of "improved" at the screening; None for that of the configuration.
        """
        usual = config.governor.alpha_improve
        sequential, screened = self.stage(config, Stage.SCREEN, pairs, level)
        runs = 2 * sequential.pairs
        if sequential.regressed:
            return Answer(Outcome.REGRESSED, runs)
        if not _worth(config, sequential):
            return Answer(Outcome.INCONCLUSIVE, runs)
        sequential, confirmed = self.stage(config, Stage.CONFIRM, pairs, usual)
        runs += 2 * sequential.pairs
        series = [screened, confirmed]
        if sequential.regressed:
            return Answer(Outcome.REGRESSED, runs)
        if anchor is not None and _worth(config, sequential):
            sequential, bounded = self.stage(config, Stage.ANCHOR, anchor)
            series.append(bounded)
            runs += 2 * sequential.pairs
        context = Context(
            test=1,
            discoveries=0,
            alpha_improve=usual if level is None else level,
            anchor=ANCHOR if anchor is not None else "",
        )
        return Answer(_outcome(decided(config, tuple(series), context)), runs)


def _worth(config: Config, sequential: Sequential) -> bool:
    """Whether the executor would go on: a gain, or harmless where that is enough."""
    if sequential.improved or not config.governor.accept_neutral:
        return sequential.improved
    return sequential.outcome("cpu") is Outcome.NEUTRAL


def rules(judge: Judge) -> dict[str, Rule]:
    """Return our rules by what the table calls them."""
    usual = configured()
    return {
        SCREENING: judge.screening(usual),
        WHOLE: judge.whole(usual),
        NEUTRAL: judge.whole(configured("accept_neutral = true")),
        WATCH: judge.watch(),
    }


def decided(config: Config, series: tuple[Series, ...], context: Context | None = None) -> Verdict:
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
        anchor_commit=ANCHOR if any(s.stage is Stage.ANCHOR for s in series) else "",
    )
    change = FileChange(path="a.py", status=FileStatus.MODIFIED, added=1, removed=1)
    evidence = Evidence(
        evaluation=evaluation,
        files=(change,),
        marks=(),
        config=config,
        config_hash="",
        context=context,
    )
    return decide(evidence)


def _outcome(verdict: Verdict) -> Outcome:
    """Say a verdict in the words of a comparison; what is held or refused unproven is neither."""
    codes = {reason.code for reason in verdict.reasons}
    if verdict.decision is Decision.ACCEPT:
        return Outcome.NEUTRAL if codes == {"neutral"} else Outcome.IMPROVED
    return Outcome.REGRESSED if "regressed" in codes else Outcome.INCONCLUSIVE
