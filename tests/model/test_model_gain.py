"""Which of many comparisons is shown as the gain."""

import pytest
from msgspec.structs import replace

from ouroboros.model import events as ev
from ouroboros.model.describe import describe
from ouroboros.model.metric import amount
from ouroboros.model.state import confirmed_change
from ouroboros.model.verdict import Comparison, Decision, Outcome, Verdict

CPU = Comparison(
    benchmark="b",
    metric="cpu",
    role="objective",
    stage="confirm",
    outcome=Outcome.IMPROVED,
    pairs=9,
    change=-0.1,
    lower=-0.2,
    upper=0.0,
    margin=0.05,
    text="",
)
RATE = replace(CPU, metric="rate", change=0.5, direction="higher")
POINTS = replace(CPU, metric="points", change=-3.5, scale="difference", unit="pt")


def verdict(*comparisons: Comparison) -> Verdict:
    return Verdict(
        decision=Decision.ACCEPT,
        reasons=(),
        comparisons=comparisons,
        rule="r",
        policy="p",
        wants_promotion=True,
    )


@pytest.mark.parametrize(
    ("comparisons", "change"),
    [
        ((), None),
        ((CPU, replace(CPU, change=-0.2)), -0.2),
        ((CPU, RATE, POINTS), -0.1),
        ((replace(CPU, stage="screen", change=-0.9), CPU), -0.1),
        ((replace(CPU, role="report", change=-0.9), CPU), -0.1),
        ((RATE, POINTS), None),
    ],
)
def test_only_a_confirmed_fraction_less_is_shown_as_such(
    comparisons: tuple[Comparison, ...], change: float | None
) -> None:
    assert confirmed_change(verdict(*comparisons)) == change


@pytest.mark.parametrize(
    ("comparisons", "words"),
    [
        ((CPU, RATE), "b rate +50.0%"),
        ((POINTS, CPU), "b cpu -10.0%"),
        ((POINTS,), "b points -3.5 pt"),
    ],
)
def test_the_largest_gain_is_said_in_its_own_unit(
    comparisons: tuple[Comparison, ...], words: str
) -> None:
    event = ev.Accepted(candidate="c1", verdict=verdict(*comparisons))
    assert words in describe(event)


@pytest.mark.parametrize(
    ("scale", "unit", "value", "signed", "text"),
    [
        ("ratio", "ns", -0.1234, True, "-12.3%"),
        ("ratio", "", 0.005, False, "0.5%"),
        ("ratio", "", 0.05, False, "5%"),
        ("difference", "pt", 0.25, True, "+0.25 pt"),
        ("difference", "", 2.0, False, "2"),
    ],
)
def test_amounts_are_read_in_their_scale(
    scale: str,
    unit: str,
    value: float,
    signed: bool,  # noqa: FBT001 - a table's column
    text: str,
) -> None:
    assert amount(scale, unit, value, signed=signed) == text
