"""The folds behind the budgets: tests, discoveries, noise, the anchor and its history."""

import folded
import pytest
from folded import ADOPTED, fold, held, promoted, rejected, started

from ouroboros.model import events as ev
from ouroboros.model.evaluation import Stage
from ouroboros.model.metric import Noise


def moved(version: int) -> ev.AnchorMoved:
    return ev.AnchorMoved(commit=f"k{version}", version=version, reason=f"to {version}")


def test_a_test_is_counted_once_however_often_it_starts() -> None:
    again = (
        ev.Requeued(candidate="c1", reason="killed"),
        *list(started("c1", 1))[-1:],
    )
    state = fold(ADOPTED, [*started("c1", 1), *again, *rejected("c2", 2), *rejected("c3", 1)])
    assert state.tests == 2
    assert state.candidates["c3"].context is not None
    assert fold(ADOPTED, list(rejected("c1"))).tests == 0  # an entry older than contexts


def test_a_discovery_is_what_the_evidence_wants_and_one_test_is_one_discovery() -> None:
    state = fold(ADOPTED, [*held("c1", 1), *held("c2", 2, wants=False), *rejected("c3", 3)])
    assert state.discoveries == 1
    denied = ev.Denied(candidate="c1", reason="no")
    again = fold(ADOPTED, [*held("c1", 1), denied, *held("c2", 1), *held("c3", 2)])
    assert again.discoveries == 2
    assert fold(ADOPTED, [*held("c1"), *held("c2")]).discoveries == 2  # older entries: each is one


def test_a_rebase_neither_counts_again_nor_forgets_the_context() -> None:
    rebased = ev.Rebased(candidate="c1", base="k9", commit="y", tree="t", checkpoint="r")
    approved = ev.Approved(candidate="c1", commit="x", reason="")
    first = fold(ADOPTED, [*held("c1", 1), approved, rebased])
    assert (first.tests, first.discoveries) == (1, 1)
    assert (
        first.candidates["c1"].context
        == fold(ADOPTED, list(held("c1", 1))).candidates["c1"].context
    )
    second = [*held("c1", 1), approved, rebased, *list(held("c1", 1))[-3:]]
    assert fold(ADOPTED, second).discoveries == 1


@pytest.mark.parametrize("machines", [("m", "m"), ("m", "n")])
def test_the_newest_calibration_of_each_machine_is_kept(machines: tuple[str, str]) -> None:
    events = [
        ev.Calibrated(
            series=folded.series(Stage.CALIBRATE, 10),
            noise=tuple(
                Noise(
                    benchmark="b",
                    metric=metric,
                    machine=machine,
                    sd=at / 10,
                    pairs=10,
                    measured_ns=at,
                )
                for metric in ("cpu", "wall")
            ),
        )
        for at, machine in enumerate(machines, 1)
    ]
    noise = fold(ADOPTED, events).noise
    assert len(noise) == 2 * len(set(machines))
    assert {n.measured_ns for n in noise if n.machine == machines[1]} == {2}


def test_the_first_anchor_is_where_the_engine_found_the_target() -> None:
    anchor = fold(ADOPTED).anchor
    assert anchor is not None
    assert (anchor.commit, anchor.version, anchor.reason) == ("k0", 0, "as found")


def test_the_anchor_knows_where_it_was_before() -> None:
    state = fold(ADOPTED, list(promoted("c1", 1)), list(promoted("c2", 2)), moved(1), moved(2))
    assert state.anchor is not None
    assert (state.anchor.commit, state.anchor.version) == ("k2", 2)
    assert [a.version for a in state.anchors] == [0, 1]


def test_the_newest_measurement_against_the_anchor_is_the_standing() -> None:
    event = ev.AnchorMeasured(
        anchor="k0", commit="k1", version=1, series=(), comparisons=(folded.COMPARISON,)
    )
    standing = fold(ADOPTED, list(promoted("c1", 1)), event).standing
    assert standing is not None
    assert (standing.anchor, standing.version, standing.comparisons) == (
        "k0",
        1,
        (folded.COMPARISON,),
    )


def test_a_candidate_is_of_the_policy_that_was_in_force_when_it_was_proposed() -> None:
    first = ev.ConfigLoaded(config_hash="one", text="t1")
    limits = ev.LimitsChanged(changes={}, config_hash="two", text="t2", reason="")
    state = fold(ADOPTED, first, list(started("c1", 1)), limits, list(started("c2", 2)))
    assert [c.policy for c in state.candidates.values()] == ["one", "two"]
