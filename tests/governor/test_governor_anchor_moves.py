"""When the anchor is measured, when it moves, and where it falls back to."""

import pytest
from folded import ADOPTED, COMPARISON, STEP_NS, fold, promoted, proposed, rolled_back
from msgspec.structs import replace

from ouroboros.config import Budget, seconds
from ouroboros.governor.anchor import due_ns, fallen, proven_gain, proven_move, stands
from ouroboros.model import events as ev
from ouroboros.model.state import State
from ouroboros.model.verdict import Comparison, Outcome

BUDGET = Budget(anchor_every=3, anchor_interval=seconds(100))
GUARD = replace(
    COMPARISON, metric="memory", role="guard", outcome=Outcome.NEUTRAL, change=0.0, lower=0, upper=0
)


def versions(*numbers: int) -> list[ev.AnyEvent]:
    return [e for n in numbers for e in promoted(f"c{n}", n)]


def to(version: int) -> ev.AnchorMoved:
    return ev.AnchorMoved(commit=f"k{version}", version=version, reason="")


def measured(version: int, *comparisons: Comparison, anchor: int = 0) -> ev.AnchorMeasured:
    return ev.AnchorMeasured(
        anchor=f"k{anchor}",
        commit=f"k{version}",
        version=version,
        series=(),
        comparisons=comparisons or (COMPARISON, GUARD),
    )


def move(state: State) -> tuple[str, int] | None:
    found = proven_move(state, BUDGET, ["b"])
    return None if found is None else (found.commit, found.version)


class TestDue:
    def test_nothing_is_due_before_anything_was_promoted(self) -> None:
        assert due_ns(State(), BUDGET) is None
        assert due_ns(fold(ADOPTED), BUDGET) is None

    def test_after_so_many_promotions_or_so_much_time(self) -> None:
        assert due_ns(fold(ADOPTED, versions(1, 2)), BUDGET) == STEP_NS + BUDGET.anchor_interval
        assert due_ns(fold(ADOPTED, versions(1, 2, 3)), BUDGET) == 0

    def test_counted_from_the_newest_measurement(self) -> None:
        state = fold(ADOPTED, versions(1, 2, 3), measured(3))
        assert due_ns(state, BUDGET) is None
        later = fold(ADOPTED, versions(1, 2, 3), measured(3), versions(4))
        assert later.standing is not None
        assert due_ns(later, BUDGET) == later.standing.ts + BUDGET.anchor_interval
        assert due_ns(fold(ADOPTED, versions(1, 2), measured(2), versions(3, 4, 5)), BUDGET) == 0

    def test_or_from_a_moved_anchor(self) -> None:
        assert due_ns(fold(ADOPTED, versions(1, 2, 3), to(3)), BUDGET) is None
        back = fold(ADOPTED, versions(1, 2, 3), measured(3), to(1))
        assert back.anchor is not None
        assert due_ns(back, BUDGET) == back.anchor.ts + BUDGET.anchor_interval

    def test_what_was_rolled_back_is_not_counted(self) -> None:
        undone = list(rolled_back("c2", "c3", version=4, restores=1))
        state = fold(ADOPTED, versions(1, 2, 3), undone)
        assert due_ns(state, BUDGET) == STEP_NS + BUDGET.anchor_interval
        all_undone = list(rolled_back("c1", "c2", "c3", version=4, restores=0))
        assert due_ns(fold(ADOPTED, versions(1, 2, 3), all_undone), BUDGET) is None


class TestProof:
    @pytest.mark.parametrize(
        ("change", "proof"),
        [
            ({}, True),
            ({"upper": -0.1}, True),
            ({"upper": -0.09}, False),
            ({"upper": None}, False),
            ({"role": "guard"}, False),
            ({"outcome": Outcome.INCONCLUSIVE}, False),
            ({"outcome": Outcome.REGRESSED}, False),
            ({"scale": "difference", "upper": -5.0}, False),
            ({"direction": "higher", "lower": 0.12, "upper": 0.2}, True),
            ({"direction": "higher", "lower": 0.05, "upper": 0.2}, False),
        ],
    )
    def test_a_gain_counts_by_its_worse_bound(
        self, change: dict[str, object], *, proof: bool
    ) -> None:
        found = proven_gain((replace(COMPARISON, **change), GUARD), 0.10, ["b"])
        assert bool(found) is proof

    def test_everything_else_must_be_proven_harmless(self) -> None:
        for outcome in (Outcome.INCONCLUSIVE, Outcome.REGRESSED):
            guard = replace(GUARD, outcome=outcome)
            assert not proven_gain((COMPARISON, guard), 0.10, ["b"])
            assert proven_gain((COMPARISON, replace(guard, role="report")), 0.10, ["b"])
        assert not proven_gain((COMPARISON, GUARD), 0.10, ["b", "not measured"])
        assert not proven_gain((), 0.10, [])

    def test_the_proof_says_its_numbers(self) -> None:
        text = proven_gain((COMPARISON, GUARD), 0.10, ["b"])
        assert "-20.0% (-25.0% .. -15.0%), 40 pairs" in text
        assert "b: cpu" in text


class TestMove:
    def test_a_proven_gain_moves_it_once(self) -> None:
        events = [*versions(1, 2), measured(2)]
        state = fold(ADOPTED, events)
        assert move(state) == ("k2", 2)
        assert move(fold(ADOPTED, events, to(2))) is None

    def test_a_human_who_moved_it_back_is_not_overruled(self) -> None:
        assert move(fold(ADOPTED, versions(1, 2), measured(2), to(2), to(0))) is None
        again = fold(ADOPTED, versions(1, 2), measured(2), to(2), to(0), measured(2))
        assert move(again) == ("k2", 2)

    def test_a_version_that_was_undone_meanwhile_is_no_anchor(self) -> None:
        undone = list(rolled_back("c2", version=3, restores=1))
        assert move(fold(ADOPTED, versions(1, 2), measured(2), undone)) is None

    def test_a_measurement_against_another_anchor_proves_nothing(self) -> None:
        assert move(fold(ADOPTED, versions(1, 2), to(1), measured(2))) is None


class TestFallen:
    def test_it_stays_while_its_version_stands(self) -> None:
        above = list(rolled_back("c2", version=3, restores=1))
        assert fallen(fold(ADOPTED, versions(1, 2), to(1), above)) is None
        assert fallen(State()) is None

    def test_it_returns_to_the_last_one_before_it_that_still_stands(self) -> None:
        """Not to what was rolled back to: what was lost between the two would be forgotten."""
        undone = list(rolled_back("c2", "c3", "c4", version=5, restores=1))
        owed = fallen(fold(ADOPTED, versions(1, 2, 3, 4), to(2), to(4), undone))
        assert owed is not None
        assert (owed.commit, owed.version) == ("k0", 0)
        assert "Version 4 was rolled back" in owed.reason
        kept = fallen(fold(ADOPTED, versions(1, 2, 3, 4), to(1), to(4), undone))
        assert kept is not None
        assert kept.version == 1

    def test_and_owes_nothing_afterwards(self) -> None:
        undone = list(rolled_back("c1", version=2, restores=0))
        state = fold(ADOPTED, versions(1), to(1), undone, to(0))
        assert fallen(state) is None

    def test_a_rollback_in_the_middle_does_not_count(self) -> None:
        """The intent alone has undone nothing yet."""
        intent = list(rolled_back("c1", version=2, restores=0))[:1]
        assert fallen(fold(ADOPTED, versions(1), to(1), intent)) is None


def test_versions_stand_until_something_below_them_is_restored() -> None:
    first = list(rolled_back("c2", version=3, restores=1))
    state = fold(ADOPTED, versions(1, 2), first, versions(4), proposed("c9"))
    assert [stands(state, v) for v in state.versions] == [True, True, False, True, True]
    second = list(rolled_back("c1", "c4", version=5, restores=0))
    state = fold(ADOPTED, versions(1, 2), first, versions(4), second)
    assert [stands(state, v) for v in state.versions] == [True, False, False, False, False, True]
