"""The last line of what a command prints, when it was written by a friend, a fool, or an enemy."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.evaluation.reports import LINE_CAP, BadReport, NoRatio, read
from ouroboros.model.metric import Direction, Kind, MetricSpec, Role, Scale, Source


def spec(name: str, scale: Scale = Scale.DIFFERENCE) -> MetricSpec:
    return MetricSpec(
        name=name,
        unit="",
        direction=Direction.LOWER,
        kind=Kind.PAIRED,
        role=Role.GUARD,
        scale=scale,
        source=Source.REPORTED,
        margin=0.05,
        min_gain=0.03,
    )


A = (spec("a"),)


@pytest.mark.parametrize(
    ("printed", "value", "before"),
    [
        (b'{"a": 1}', 1.0, b""),
        (b'{"a": 1}\n', 1.0, b""),
        (b'work\n{"a": -0.5}\r\n\n', -0.5, b"work\n"),
        (b'\xff\xfe\n {"b": 2, "a": 1e-3} \n', 0.001, b"\xff\xfe\n"),
        (b'{"a": 5}\n{"a": 6}\n', 6.0, b'{"a": 5}\n'),
        (b'{"a": 123456789012345678901234567890}', 1.2345678901234568e29, b""),
    ],
)
def test_numbers(printed: bytes, value: float, before: bytes) -> None:
    report = read(printed, A)
    assert report.values == {"a": value}
    assert report.before == before


HOSTILE = {
    "nothing": b"",
    "blank": b"\n \n",
    "words": b"done in 3 s\n",
    "nan": b'{"a": NaN}',
    "infinity": b'{"a": Infinity}',
    "minus_infinity": b'{"a": 1, "b": -Infinity}',
    "overflow": b'{"a": 1e999}',
    "huge_int": b'{"a": 1' + b"0" * 400 + b"}",
    "huger_int": b'{"a": 1' + b"0" * 5000 + b"}",
    "string": b'{"a": "1"}',
    "bool": b'{"a": true}',
    "null": b'{"a": null}',
    "nested": b'{"a": {"b": 1}}',
    "list_value": b'{"a": [1]}',
    "list": b"[1]",
    "number": b"1",
    "twice": b'{"a": 1, "a": 2}',
    "twice_escaped": b'{"a": 1, "\\u0061": 2}',
    "bad_neighbour": b'{"a": 1, "b": "x"}',
    "no_utf8": b'{"a": 1, "\xff": 2}',
    "utf16": '{"a": 1}'.encode("utf-16"),
    "two_objects": b'{"a": 1} {"a": 2}',
    "unfinished": b'{"a": 1',
    "single_quotes": b"{'a': 1}",
    "other_name": b'{"b": 1}',
    "deep": b"[" * 30_000,
    "deep_object": b'{"a":' * 10_000,
    "bom": b'\xef\xbb\xbf{"a": 1}',
    "control": b'{"a": 1, "\x1b[31m": 2}',
    "long_line": b'{"a": 1, "b": ' + b"1" * LINE_CAP + b"}",
    "ten_megabytes": b'{"a": 1}' + b" " * 0 + b"x" * (10 << 20),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_lines_are_no_report(kind: str) -> None:
    with pytest.raises(BadReport) as caught:
        read(HOSTILE[kind], A)
    text = str(caught.value)
    assert text.endswith(".")
    assert len(text) < 300
    assert text.isprintable()


def test_the_line_cap_is_of_the_line_not_of_the_output() -> None:
    assert read(b"x" * (1 << 20) + b'\n{"a": 1}', A).values == {"a": 1.0}


@pytest.mark.parametrize("value", ["0", "-0.0", "-1", "0.0"])
def test_ratios_need_positive_numbers(value: str) -> None:
    line = f'{{"a": {value}}}'.encode()
    with pytest.raises(NoRatio, match='scale = "difference"'):
        read(line, (spec("a", Scale.RATIO),))
    assert read(line, A).values["a"] == float(value)


def test_all_wanted_metrics_must_be_there_and_only_they_are_kept() -> None:
    wanted = (spec("a"), spec("b"))
    assert read(b'{"c": 3, "b": 2, "a": 1}', wanted).values == {"a": 1.0, "b": 2.0}
    with pytest.raises(BadReport, match="holds no b"):
        read(b'{"a": 1, "c": 2}', wanted)


@given(st.binary(max_size=300))
def test_any_bytes_are_finite_numbers_or_a_bad_report(printed: bytes) -> None:
    try:
        report = read(printed, A)
    except BadReport:
        return
    assert all(math.isfinite(v) for v in report.values.values())


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text("ab", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["a", "b", "\ud800", "\u202e"]), _JSON))
def test_any_json_is_finite_numbers_or_a_bad_report(document: dict[str, object]) -> None:
    line = json.dumps(document).encode()
    flat = all(type(v) in (int, float) for v in document.values())
    finite = flat and all(math.isfinite(v) for v in document.values())  # type: ignore[arg-type] # numbers
    try:
        report = read(line, A)
    except BadReport:
        assert not finite or "a" not in document
        return
    assert finite
    assert report.values == {"a": float(document["a"])}  # type: ignore[arg-type] # a number
