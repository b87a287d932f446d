"""The canonical bytes of values: equal exactly where type and value agree."""

import array
import ast
import collections
import copy
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import importlib.util
import math
import os
import pathlib
import pickle
import re
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroboros.evaluation import lab
from ouroboros.evaluation.challenge.forms import Malformed, normal


def _load(name: str) -> Any:
    # As the worker has it: from its folder, under its own name.
    spec = importlib.util.spec_from_file_location(name, Path(lab.INSIDE) / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


codec = _load("_ouroboros_codec")


def form(value: Any) -> bytes:
    """What is compared of a result, in the end."""
    row: bytes = codec.row(value, (), {})
    return normal(row[1:]) if row[:1] == b"P" else row


Encode = Callable[[Any], bytes]
BOTH = pytest.mark.parametrize("encode", [form, codec.encode], ids=["pickled", "walked"])

ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-3, max_value=3)
    | st.floats()
    | st.sampled_from([0.0, -0.0, math.nan, -math.nan, math.inf])
    | st.complex_numbers()
    | st.text(max_size=4)
    | st.text(alphabet="\x93\x8f\x91a", max_size=3)
    | st.binary(max_size=4)
    | st.binary(max_size=4).map(bytearray)
    | st.fractions()
    | st.decimals()
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(dt.UTC))
    | st.uuids()
    | st.builds(range, st.integers(-3, 3), st.integers(-3, 3))
)
KEYS = st.integers(-3, 3) | st.text(max_size=2) | st.booleans() | st.frozensets(st.integers(0, 3))
VALUES = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.sets(KEYS, max_size=3)
        | st.frozensets(KEYS, max_size=3)
    ),
    max_leaves=6,
)


def same(a: Any, b: Any) -> bool:
    """What the codec promises, told by comparing instead of encoding."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return a.hex() == b.hex()
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, decimal.Decimal):
        return str(a) == str(b)
    if isinstance(a, dt.datetime):
        return repr(a) == repr(b) and a.fold == b.fold
    if isinstance(a, range):
        return repr(a) == repr(b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    if isinstance(a, set | frozenset):
        return len(a) == len(b) and all(any(same(x, y) for y in b) for x in a)
    return bool(a == b)


@BOTH
@given(VALUES, VALUES)
@settings(max_examples=300, deadline=None)
def test_equal_bytes_mean_equal_type_and_value(encode: Encode, a: Any, b: Any) -> None:
    assert (encode(a) == encode(b)) == same(a, b)


@BOTH
@given(VALUES)
@settings(max_examples=200, deadline=None)
def test_copies_have_equal_bytes(encode: Encode, value: Any) -> None:
    assert encode(copy.deepcopy(value)) == encode(value)
    assert encode([value, value]) == encode([value, copy.deepcopy(value)])


@BOTH
@given(st.lists(VALUES, max_size=3), st.randoms())
@settings(max_examples=100, deadline=None)
def test_the_order_of_a_set_does_not_count(encode: Encode, values: list[Any], rng: Any) -> None:
    names = [f"{i}-{encode(value)!r}" for i, value in enumerate(values)]
    mixed = names[:]
    rng.shuffle(mixed)
    assert encode(set(names)) == encode(set(mixed))


class Text(str):
    __slots__ = ()


class Numbers(list):  # type: ignore[type-arg]
    pass


class Set(set):  # type: ignore[type-arg]
    pass


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Named(NamedTuple):
    a: int


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = 0


class Other(Point):
    pass


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a: Any) -> None:
        self.a = a


class Equal:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def raised(problem: BaseException) -> Any:
    return codec.Raised(problem)


DIFFERENT = [
    *(1, True, 1.0, 1 + 0j, "1", b"1", bytearray(b"1"), [1], (1,), {1}, frozenset({1}), {1: 1}),
    *(0.0, -0.0, math.nan, None, range(1), range(2), [], (), {}, set(), "", b""),
    *(Text("1"), Numbers([1]), Set({1}), Named(1), Colour.RED, Colour.BLUE, Equal(), Point, Colour),
    *(Point(1), Point(1, 1), Point([1]), Point("1"), Other(1), Slotted(1), Slotted(2)),
    *(collections.deque([1]), collections.deque([1], 3), collections.Counter("a")),
    *(collections.OrderedDict(a=1), collections.defaultdict(int, a=1), {"a": 1, "b": 2}),
    *({"b": 2, "a": 1}, array.array("i", [1]), array.array("l", [1]), memoryview(b"1")),
    *(decimal.Decimal(1), decimal.Decimal("1.0"), fractions.Fraction(1), re.compile("a")),
    *(re.compile("a", re.IGNORECASE), uuid.UUID(int=1), pathlib.PurePosixPath("1"), len, max),
    *(dt.date(2020, 1, 1), dt.datetime(2020, 1, 1), dt.timedelta(1)),  # noqa: DTZ001
    *(dt.datetime(2020, 1, 1, tzinfo=dt.UTC), ..., NotImplemented, slice(1), [].append),
    *(raised(ValueError(1)), raised(ValueError("1")), raised(KeyError(1)), ValueError(1), {"a": 1}),
    *(
        codec.Drained(iter([1])),
        codec.Drained(iter((1,))),
        codec.Drained(x for x in [1]),
        iter([2]),
    ),
]


@BOTH
def test_every_one_of_these_differs_from_every_other(encode: Encode) -> None:
    encoded = [encode(value) for value in DIFFERENT]
    clashes = [
        (DIFFERENT[i], DIFFERENT[j])
        for i in range(len(encoded))
        for j in range(i)
        if encoded[i] == encoded[j]
    ]
    assert clashes == []


@BOTH
def test_the_order_of_attributes_does_not_count(encode: Encode) -> None:
    one, two = Point(1, 2), Point(1, 2)
    vars(two).clear()
    vars(two).update(y=2, x=1)
    assert encode(one) == encode(two)


@BOTH
def test_values_that_hold_themselves(encode: Encode) -> None:
    def knot(size: int) -> list[Any]:
        ring: list[Any] = [0] * size
        ring.append(ring)
        return ring

    assert encode(knot(2)) == encode(knot(2))
    assert encode(knot(2)) != encode(knot(3))
    node = Point(1)
    node.y = {"self": node}
    assert encode(node) == encode(copy.deepcopy(node))


@BOTH
def test_deep_values(encode: Encode) -> None:
    def nest(depth: int) -> Any:
        value: Any = []
        for _ in range(depth):
            value = [value]
        return value

    assert encode(nest(1500)) == encode(nest(1500))
    assert encode(nest(1500)) != encode(nest(1501))
    with pytest.raises(codec.Uncomparable, match="deeply"):
        encode(nest(100_000))


def test_what_cannot_be_compared_says_so() -> None:
    def generate() -> Any:
        yield 1
        raise ValueError(2)

    for value in (threading.Lock(), lambda: 1, sys._getframe(), [{1: threading.Lock()}]):
        with pytest.raises(codec.Uncomparable):
            form(value)
    drained = codec.Drained(generate())
    assert drained.items == [1]
    assert isinstance(drained.end.problem, ValueError)
    assert codec.encode(drained) == codec.encode(codec.Drained(generate()))


@BOTH
def test_an_exception_is_its_type_and_arguments(encode: Encode) -> None:
    assert encode(raised(ValueError(1))) == encode(raised(ValueError(1)))
    unnamed = raised(ValueError(threading.Lock))
    assert encode(unnamed) == encode(raised(ValueError(threading.Lock)))
    assert encode(raised(SystemExit(0))) != encode(raised(SystemExit(1)))


@given(VALUES)
@settings(max_examples=100, deadline=None)
def test_a_normal_form_is_found_without_memory_only(value: Any) -> None:
    assert normal(codec.pickled(value))
    with_memory = pickle.dumps([value, value, "xyz"], 4)
    with pytest.raises(Malformed):
        normal(with_memory)


@given(st.binary(max_size=60))
@settings(max_examples=300, deadline=None)
def test_garbage_has_a_normal_form_or_says_that_it_has_none(data: bytes) -> None:
    for garbage in (data, b"\x80\x04" + data + b".", codec.pickled([1, {2: "x"}])[:-1] + data):
        try:
            found = normal(garbage)
        except Malformed:
            continue
        assert isinstance(found, bytes)


def test_nothing_is_imported_or_called_for_a_normal_form() -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return os._exit, (3,)

    assert b"_exit" in normal(codec.pickled(Bomb()))
    assert b"no_such_module" in normal(b"\x80\x04\x8c\x0eno_such_module\x8c\x01f\x93.")


def test_long_and_deep_pickles_take_time_by_their_length() -> None:
    deep = b"\x80\x04N" + b"\x85" * 1_000_000 + b"."
    assert len(normal(deep)) < 1000
    assert normal(codec.pickled(["x" * 300])) != normal(codec.pickled(["x" * 301]))
    with pytest.raises(Malformed, match="too long"):
        normal(b"\x80\x04" * 5_000_001)


@pytest.mark.parametrize("name", sorted(p.name for p in Path(lab.INSIDE).glob("*.py")))
def test_files_that_run_inside_are_written_for_old_interpreters(name: str) -> None:
    ast.parse((Path(lab.INSIDE) / name).read_text(), feature_version=(3, 8))
