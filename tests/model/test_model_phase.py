"""The table of moves: what is listed works, what is not raises and changes nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.errors import IllegalMoveError
from ouroboros.model import events as ev
from ouroboros.model.phase import FINAL, MOVES, START, Phase, step

KINDS = sorted({kind for row in MOVES.values() for kind in row} | {START, "nonsense", ""})
EVENT_KINDS = {
    str(cls.__struct_config__.tag) for cls in ev.AnyEvent.__args__ if issubclass(cls, ev.Event)
}


@given(st.sampled_from(list(Phase)), st.sampled_from(KINDS))
def test_every_pair_either_has_a_row_or_raises(phase: Phase, kind: str) -> None:
    if kind in MOVES[phase]:
        assert step(phase, kind) is MOVES[phase][kind]
    else:
        with pytest.raises(IllegalMoveError, match="possible"):
            step(phase, kind)


def test_every_kind_in_the_table_is_an_event_that_moves() -> None:
    moving = {
        str(cls.__struct_config__.tag)
        for cls in ev.AnyEvent.__args__
        if getattr(cls, "moves", False)
    }
    listed = {kind for row in MOVES.values() for kind in row}
    assert listed <= EVENT_KINDS
    assert listed | {START} == moving


def _reachable(start: Phase, *, without: frozenset[Phase] = frozenset()) -> set[Phase]:
    seen, todo = set(), [start]
    while todo:
        phase = todo.pop()
        if phase in seen or phase in without:
            continue
        seen.add(phase)
        todo += MOVES[phase].values()
    return seen


def test_every_phase_is_reachable_from_the_start() -> None:
    assert _reachable(Phase.PROPOSED) == set(Phase)


def test_after_promotion_the_only_ends_are_kept_and_rolled_back() -> None:
    assert _reachable(Phase.PROMOTED) & FINAL == {Phase.KEPT, Phase.ROLLED_BACK}


def test_nothing_is_promoted_without_an_accept() -> None:
    assert Phase.PROMOTING not in _reachable(Phase.PROPOSED, without=frozenset({Phase.ACCEPTED}))


def test_nothing_is_judged_without_an_evaluation() -> None:
    reached = _reachable(Phase.PROPOSED, without=frozenset({Phase.EVALUATED}))
    assert not reached & {Phase.HELD, Phase.ACCEPTED, Phase.PROMOTING, Phase.PROMOTED}


@given(st.lists(st.sampled_from(KINDS), max_size=40))
def test_no_sequence_of_events_leaves_a_final_phase_except_rollback(kinds: list[str]) -> None:
    phase = Phase.PROPOSED
    for kind in kinds:
        before = phase
        try:
            phase = step(phase, kind)
        except IllegalMoveError:
            assert phase is before
            continue
        if before in FINAL:
            assert (before, kind) in {
                (Phase.KEPT, "rollback_started"),
                (Phase.ROLLED_BACK, "roll_forward_started"),
            }


def test_the_kind_of_an_event_is_its_class_name_in_snake_case() -> None:
    assert (
        ev.PromotionStarted(
            candidate="c1", branch="main", expected_head="a", commit="b", version=1
        ).kind
        == "promotion_started"
    )
