"""Every kind of event has a line of its own, and no line carries what a terminal would obey."""

import typing
from typing import Any

import msgspec
import pytest

from ouroboros.model import events as ev
from ouroboros.model.describe import describe, subject
from ouroboros.model.evaluation import Series, Stage
from ouroboros.model.metric import Noise
from ouroboros.model.proposal import Cost, FileChange, FileStatus
from ouroboros.model.verdict import Comparison, Outcome, Reason

EVIL = "evil\x1b]52;c;aGk=\x07\u202e\r\nsecond line"
KINDS = typing.get_args(ev.AnyEvent)

VALUES = {
    bool: True,
    str: EVIL,
    int: 3,
    float | None: -0.1,
    tuple[str, ...]: (EVIL, "c2"),
    tuple[FileChange, ...]: (FileChange(path=EVIL, status=FileStatus.ADDED, added=-1, removed=2),),
    tuple[Reason, ...]: (Reason(code="x", text=EVIL), Reason(code="y", text="")),
    Cost: Cost(),
    Series: Series(benchmark=EVIL, stage=Stage.CALIBRATE, pairs=()),
    tuple[Series, ...]: (),
    tuple[Noise, ...]: (
        Noise(benchmark=EVIL, metric=EVIL, machine=EVIL, sd=0.1, pairs=10, measured_ns=1),
    ),
    tuple[Comparison, ...]: (
        Comparison(
            benchmark=EVIL,
            metric=EVIL,
            role="objective",
            stage="anchor",
            outcome=Outcome.NEUTRAL,
            pairs=3,
            change=0.1,
            lower=None,
            upper=None,
            margin=0.05,
            text=EVIL,
            unit=EVIL,
            scale="difference",
        ),
    ),
    dict[str, ev.Setting]: {EVIL: EVIL},
}


@pytest.fixture
def make(an_evaluation: Any, a_verdict: Any) -> Any:
    """Return a function that fills an event of any kind with what nobody should print."""

    def filled(kind: Any) -> Any:
        fields = {
            field.name: VALUES[field.type]
            for field in msgspec.structs.fields(kind)
            if field.type in VALUES
        }
        names = kind.__struct_fields__
        if "evaluation" in names:
            fields["evaluation"] = msgspec.structs.replace(an_evaluation, cause=EVIL)
        if "verdict" in names:
            reasons = (Reason(code="x", text=EVIL),)
            fields["verdict"] = msgspec.structs.replace(a_verdict, reasons=reasons)
        return kind(**fields)

    return filled


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
def test_one_safe_line_that_says_more_than_the_tag(make: Any, kind: Any) -> None:
    event = make(kind)
    line = describe(event)
    assert line.isprintable()
    assert "\u202e" not in line
    assert len(line) < 700
    assert not line.endswith(event.kind)  # the fallback of kinds without a row


def test_every_kind_reads_differently(make: Any) -> None:
    assert len({describe(make(kind)) for kind in KINDS}) == len(KINDS)


def test_the_gain_stands_in_a_verdict(a_verdict: Any) -> None:
    line = describe(ev.Held(candidate="c1", verdict=a_verdict, expires_ns=1))
    assert line == ("c1 held for a human: main cpu -20.0%; A human answers in supervised mode.")


def test_subjects(make: Any) -> None:
    assert subject(make(ev.Kept)) == EVIL
    assert subject(make(ev.RolledBack)) == f"{EVIL},c2"
    assert subject(ev.AlertRaised(code="x", severity="info", text="t", candidate="c9")) == "c9"
    assert subject(make(ev.Paused)) == ""
