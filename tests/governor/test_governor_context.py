"""Context and moment follow from the ledger alone; which evidence is continued, and which not."""

from collections.abc import Sequence

import folded
import pytest
from folded import ADOPTED, STEP_NS, accepted, fold, held, promoted, proposed, rejected, rolled_back
from folded import started as starts
from msgspec.structs import replace

from ouroboros.config import Config, parse
from ouroboros.governor.calibration import stale, table_of
from ouroboros.governor.context import (
    DAY_NS,
    context_of,
    continued,
    family,
    moment_of,
    prior_of,
    unmeasured,
)
from ouroboros.model import events as ev
from ouroboros.model.evaluation import Series, Stage
from ouroboros.model.metric import Noise
from ouroboros.model.state import State
from ouroboros.model.verdict import Context

BENCH = '[benchmarks.b]\ncommand = ["x"]\n'


def config(
    governor: str = "", budget: str = "", calibration: str = "", bench: str = BENCH
) -> Config:
    text = f"[governor]\n{governor}\n[governor.budget]\n{budget}\n"
    return parse(f"{text}[governor.calibration]\n{calibration}\n{bench}".encode()).config


CONFIG = config()
E_LOND = config(budget='fdr = "e-lond"')


def context(state: State, name: str, conf: Config = CONFIG, continues: str = "") -> Context:
    return context_of(state, state.candidates[name], conf, machine="m", continues=continues)


def kin(state: State, name: str, *alike: str) -> list[str]:
    return [c.id for c in family(state, state.candidates[name], alike)]


def goes_on(state: State, name: str, *alike: str) -> str:
    return continued(family(state, state.candidates[name], alike))


class TestContext:
    def test_tests_are_numbered_in_the_order_in_which_they_start(self) -> None:
        state = fold(ADOPTED, proposed("c1"), proposed("c2"))
        assert context(state, "c2").test == context(state, "c1").test == 1
        assert context(fold(ADOPTED, list(starts("c1", 1)), proposed("c2")), "c2").test == 2

    def test_an_attempt_that_starts_over_keeps_number_and_discoveries(self) -> None:
        state = fold(ADOPTED, list(starts("c1", 1)), list(held("c2", 2)))
        again = context(state, "c1")
        assert (again.test, again.discoveries) == (1, 0)
        assert context(fold(ADOPTED, list(held("c2", 2)), proposed("c3")), "c3").discoveries == 1

    def test_a_continued_idea_has_the_number_of_the_first(self) -> None:
        state = fold(ADOPTED, list(rejected("c1", 1)), list(held("c2", 2)), proposed("c3"))
        new, old = context(state, "c3"), context(state, "c3", continues="c1")
        assert (new.test, new.discoveries, new.continues) == (3, 1, "")
        assert (old.test, old.discoveries, old.continues) == (1, 0, "c1")

    def test_one_that_continues_an_entry_without_context_is_a_new_test(self) -> None:
        state = fold(ADOPTED, list(rejected("c1")), proposed("c2"))
        assert context(state, "c2", continues="c1").test == 1

    def test_levels_shrink_with_tests_and_grow_with_discoveries_under_e_lond_alone(self) -> None:
        lone = [*starts("c1", 1), *starts("c2", 2), proposed("c3")]
        lucky = [*held("c1", 1), *held("c2", 2), proposed("c3")]
        plain = context(fold(ADOPTED, lone), "c3", E_LOND).alpha_improve
        assert plain == pytest.approx(0.05 * 0.4739 / (4 * 1.3862943611**2))
        assert context(fold(ADOPTED, lucky), "c3", E_LOND).alpha_improve == pytest.approx(3 * plain)
        assert context(fold(ADOPTED, lone), "c3").alpha_improve == 0.05

    def test_the_anchor_is_asked_for_where_it_is_not_the_baseline(self) -> None:
        promotion = list(promoted("c1", 1))
        at_anchor = fold(ADOPTED, proposed("c2"))
        moved = fold(
            ADOPTED, promotion, proposed("c2"), ev.AnchorMoved(commit="k1", version=1, reason="")
        )
        assert context(at_anchor, "c2").anchor == ""
        assert context(moved, "c2").anchor == "k1"
        assert context(moved, "c2", config(budget="cumulative = false")).anchor == ""

    def test_noise_is_that_of_this_machine_and_of_the_benchmark_as_it_is_now(self) -> None:
        table = table_of(CONFIG, "b")
        other = table_of(config(bench=BENCH.replace("x", "y")), "b")
        here = [
            noise("m", table, 0.5),
            noise("n", table, 0.5, "wall"),
            noise("m", other, 0.5, "wall"),
        ]
        state = fold(ADOPTED, proposed("c1"), *(calibrated(n) for n in here))
        found = context(state, "c1")
        assert found.noise == (here[0],)
        assert found.too_noisy == ("b",)
        quiet = fold(ADOPTED, proposed("c1"), calibrated(noise("m", table, 0.01)))
        assert context(quiet, "c1").too_noisy == ()


def noise(machine: str, table: str, sd: float, metric: str = "cpu", at: int = 1) -> Noise:
    return Noise(
        benchmark="b",
        metric=metric,
        machine=machine,
        sd=sd,
        pairs=10,
        measured_ns=at,
        table=table,
    )


def calibrated(one: Noise) -> ev.Calibrated:
    return ev.Calibrated(series=folded.series(Stage.CALIBRATE, 10), noise=(one,))


class TestStale:
    TABLE = table_of(CONFIG, "b")

    def test_it_is_wanted_once_and_again_when_it_is_old(self) -> None:
        every = CONFIG.governor.calibration.every
        assert stale(fold(ADOPTED), CONFIG, machine="m", now_ns=9) == ("b",)
        known = fold(ADOPTED, calibrated(noise("m", self.TABLE, 0.1, at=5)))
        assert stale(known, CONFIG, machine="m", now_ns=5 + every - 1) == ()
        assert stale(known, CONFIG, machine="m", now_ns=5 + every) == ("b",)

    def test_it_is_wanted_on_another_machine_and_for_a_changed_benchmark(self) -> None:
        known = fold(ADOPTED, calibrated(noise("m", self.TABLE, 0.1)))
        assert stale(known, CONFIG, machine="n", now_ns=9) == ("b",)
        changed = config(bench=BENCH + "max_degradation = 0.1\n")
        assert stale(known, changed, machine="m", now_ns=9) == ("b",)
        assert stale(known, config("max_lines = 5"), machine="m", now_ns=9) == ()

    def test_it_can_be_switched_off(self) -> None:
        off = config(calibration="enabled = false")
        assert stale(fold(ADOPTED), off, machine="m", now_ns=9) == ()


class TestMoment:
    def count(
        self, *events: Sequence[ev.AnyEvent], of: str = "p", later: int = 0
    ) -> tuple[int, int]:
        state = fold(ADOPTED, *events, proposed("c9", proposer=of))
        moment = moment_of(state, state.candidates["c9"], state.seq * STEP_NS + later)
        return moment.promotions, moment.promotions_of_proposer

    def test_promotions_without_a_human_are_counted_for_a_day(self) -> None:
        two = [*promoted("c1", 1), *promoted("c2", 2)]
        assert self.count(two) == (2, 2)
        assert self.count(two, of="q") == (2, 0)
        assert self.count(two, later=DAY_NS) == (0, 0)

    def test_what_a_human_approved_does_not_count(self) -> None:
        approved = ev.Approved(candidate="c1", commit="c1-commit", reason="")
        by_hand = [*held("c1", 1), approved, *list(promoted("c1", 1))[-2:]]
        assert self.count(by_hand) == (0, 0)

    def test_one_that_is_about_to_be_promoted_takes_its_place(self) -> None:
        under_way = [*accepted("c1"), *list(promoted("c2", 1))[:-1]]
        assert self.count(under_way) == (2, 2)

    def test_one_that_was_rolled_back_has_happened_all_the_same(self) -> None:
        undone = [*promoted("c1", 1), *rolled_back("c1", version=2, restores=0)]
        assert self.count(undone) == (1, 1)


class TestFamily:
    def test_only_what_came_before_counts(self) -> None:
        state = fold(ADOPTED, *(list(rejected(n, i)) for i, n in enumerate(("c1", "c2", "c3"), 1)))
        assert kin(state, "c2", "c1", "c3") == ["c1"]
        assert kin(state, "c1", "c2", "c3") == []

    def test_who_continued_the_same_test_belongs_to_it(self) -> None:
        state = fold(
            ADOPTED,
            list(rejected("c1", 1)),
            list(rejected("c2", 1)),
            list(rejected("c3", 2)),
            proposed("c4"),
        )
        assert kin(state, "c4", "c1") == ["c1", "c2"]
        assert goes_on(state, "c4", "c1") == "c2"

    def test_what_is_about_to_be_measured_is_waited_for(self) -> None:
        state = fold(
            ADOPTED, list(starts("c1", 1)), proposed("c2"), list(held("c3", 2)), proposed("c4")
        )
        assert unmeasured(family(state, state.candidates["c4"], ["c1", "c2", "c3"])) == ("c1", "c2")

    def test_the_newest_that_was_measured_is_continued(self) -> None:
        failed = rejected("c3", 3, count=0)
        state = fold(
            ADOPTED, list(rejected("c1", 1)), list(rejected("c2", 1)), list(failed), proposed("c4")
        )
        assert goes_on(state, "c4", "c1", "c2", "c3") == "c2"
        assert goes_on(state, "c4", "c3") == ""

    def test_evidence_that_won_is_not_handed_on(self) -> None:
        denied = ev.Denied(candidate="c1", reason="")
        assert goes_on(fold(ADOPTED, list(held("c1", 1)), denied, proposed("c2")), "c2", "c1") == ""
        doubtful = fold(ADOPTED, list(held("c1", 1, wants=False)), denied, proposed("c2"))
        assert goes_on(doubtful, "c2", "c1") == "c1"

    @pytest.mark.parametrize("undone", [False, True])
    def test_what_was_promoted_is_another_matter(self, *, undone: bool) -> None:
        """Also where a human approved what the evidence left open."""
        approved = ev.Approved(candidate="c1", commit="c1-commit", reason="")
        events = [*held("c1", 1, wants=False), approved, *list(promoted("c1", 1))[-2:]]
        if undone:
            events += rolled_back("c1", version=2, restores=0)
        assert goes_on(fold(ADOPTED, events, proposed("c2")), "c2", "c1") == ""


class TestPrior:
    def prior(
        self, then: Config, now: Config, *, anchor: str = "", before: str = ""
    ) -> list[tuple[str, str]]:
        state = fold(ADOPTED, list(rejected("c1", 1)))
        every = tuple(
            folded.series(stage, count, name)
            for name in ("b", "d")
            for stage, count in zip(Stage, (20, 8, 6, 10), strict=True)
        )
        c = state.candidates["c1"]
        assert c.evaluation is not None
        evaluation = replace(c.evaluation, series=every, anchor_commit=before)
        found = prior_of(replace(c, evaluation=evaluation), then, now, anchor=anchor)
        assert all(s.inherited == len(s.pairs) > 0 for s in found)
        assert all(s.pairs in [e.pairs for e in every] for s in found)
        return [(s.benchmark, str(s.stage)) for s in found]

    def test_pairs_of_screening_and_confirmation_go_on(self) -> None:
        both = config(bench=BENCH + '[benchmarks.d]\ncommand = ["x"]\n')
        assert self.prior(CONFIG, CONFIG) == [("b", "screen"), ("b", "confirm")]
        assert self.prior(both, both)[2:] == [("d", "screen"), ("d", "confirm")]
        assert self.prior(both, CONFIG) == [("b", "screen"), ("b", "confirm")]

    def test_a_benchmark_that_is_another_one_by_now_starts_anew(self) -> None:
        assert self.prior(CONFIG, config(bench=BENCH.replace("x", "y"))) == []

    def test_pairs_against_another_anchor_say_nothing(self) -> None:
        assert ("b", "anchor") in self.prior(CONFIG, CONFIG, anchor="k1", before="k1")
        assert ("b", "anchor") not in self.prior(CONFIG, CONFIG, anchor="k2", before="k1")
        assert ("b", "anchor") not in self.prior(CONFIG, CONFIG, before="")

    def test_a_chain_holds_all_pairs_once(self) -> None:
        state = fold(ADOPTED, list(rejected("c1", 1)))
        c = state.candidates["c1"]
        for round_ in range(1, 4):
            (prior,) = prior_of(c, CONFIG, CONFIG, anchor="")
            assert prior.inherited == len(prior.pairs) == 20 * round_
            grown = Series(
                benchmark="b",
                stage=Stage.SCREEN,
                pairs=(*prior.pairs, *folded.series(Stage.SCREEN, 20).pairs),
                inherited=prior.inherited,
            )
            assert c.evaluation is not None
            c = replace(c, evaluation=replace(c.evaluation, series=(grown,)))
