import ast
import asyncio
import contextlib
import random
import textwrap
import unittest
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.evaluation.inverted import Inverted, Refusal, invert


def turned(source: str, coin: random.Random | None = None) -> Inverted:
    return invert(textwrap.dedent(source).encode(), coin)


class Turn(ast.NodeTransformer):
    """What must happen to the tree, written the plain way."""

    def visit_Assert(self, node: ast.Assert) -> ast.Assert:
        return ast.Assert(ast.UnaryOp(ast.Not(), node.test), node.msg)


def same(one: ast.AST, other: ast.AST) -> bool:
    return ast.dump(one) == ast.dump(other)


EXPRESSIONS = st.sampled_from(
    [
        *(
            "x",
            "x == y",
            "not x",
            "x or y",
            "(x, 'never')",
            "f(x)[0]",
            "lambda: x",
            "x if y else z",
        ),
        *("(x for x in y)", "[x\n  for x in y]", "(  # why\n  x\n  == y  # and\n)", "'ü' in x"),
        *("(n := x)", "(yield x)", "'''a\n  b''' in x", "x == \\\n    y", "f'{x!r:>{y}}'"),
    ]
)
MESSAGES = st.sampled_from(["", ", 'why'", ", f'{x}'", ",\\\n    (x, y)"])
FRAMES = st.sampled_from(
    [
        "def test():\n    {}\n",
        "def test(): {}\n",
        "def test():\n    'é'; {}; pass\n",
        "class A:\n    def test(self):\n        if x:\n            {}\n        else: pass\n",
        "def outer():\n    def inner():\n        for i in x:\n            {}\n    return inner\n",
        "async def test():\n    async with x:\n        {}\n",
        "def test():\n    match x:\n        case 1:\n            {}\n",
        "def test():\n    try: f()\n    except E:\n        {}\n    finally:\n        {}\n",
        "\ndef test():\n\tif x:\n\t\t{}",
    ]
)


@given(frames=st.lists(st.tuples(FRAMES, EXPRESSIONS, MESSAGES), min_size=1, max_size=4))
def test_every_assert_is_turned_and_nothing_else(frames: list[tuple[str, str, str]]) -> None:
    parts = [f.replace("{}", f"assert {e}{m}") for f, e, m in frames]
    source = "\n".join(parts)
    result = invert(source.encode())
    assert result.turned == source.count("assert ")
    expected = Turn().visit(ast.parse(source))
    assert same(ast.parse(result.source), expected)
    assert result.source.count(b"\n") == source.count("\n")


@pytest.mark.parametrize(
    ("head", "encoding", "end"),
    [
        ("", "utf-8", "\n"),
        ("", "utf-8", "\r\n"),
        ("", "utf-8", "\r"),
        ("", "utf-8-sig", "\r\n"),
        ("# coding: latin-1", "latin-1", "\n"),
        ("# -*- coding: cp1252 -*-", "cp1252", "\r\n"),
    ],
)
def test_encodings_and_line_ends_are_kept(end: str, head: str, encoding: str) -> None:
    lines = [head, "def test():", "    'ä'; assert 'ö' == x, 'ü'", "    assert y"]
    data = end.join(lines).encode(encoding)
    expected = end.join([*lines[:2], "    'ä'; assert not ('ö' == x), 'ü'", "    assert not (y)"])
    assert invert(data).source == expected.encode(encoding)


@pytest.mark.parametrize(
    "source",
    [
        b"def test(:\n    pass\n",
        b"def test():\n    print 1\n",
        b"\xff\xfe\x00",
        b"# coding: no-such\n",
        b"x = 1\0\n",
        b"def test():\n    assert " + b"(" * 500 + b")" * 500,
    ],
)
def test_what_this_python_does_not_understand_is_left_alone(source: bytes) -> None:
    with pytest.raises(Refusal):
        invert(source)


@given(st.binary(max_size=200))
def test_nothing_else_is_ever_raised(source: bytes) -> None:
    with contextlib.suppress(Refusal):
        invert(source, random.Random(1))


def test_what_runs_at_import_or_prepares_is_left_alone() -> None:
    source = """
        import pytest
        assert pytest
        class T:
            assert True
            def setUp(self): assert self
            def asyncSetUp(self): assert self
            def setup_method(self): assert self
            def tearDownClass(cls): assert cls
        @pytest.fixture
        def one(): assert 1
        @pytest.fixture(scope="module")
        def two():
            def inner(): assert 1
        def setup_module(): assert 1
        def test():
            with pytest.raises(AssertionError):
                f()
            g.assert_called_once()
            assert_that(1)
            self.assertSomethingOfItsOwn(1)
            x = self.assertTrue(1)
    """
    assert turned(source).turned == 0
    assert turned(source).source == textwrap.dedent(source).encode()


CALLS = [
    "self.assertEqual(x, 1)",
    "self.assertEqual(x, 1, 'm')",
    "self.assertNotEqual(x, 2, msg='m')",
    "self.assertTrue(x)",
    "self.assertFalse(not x)",
    "self.assertIs(x, x)",
    "self.assertIsNot(x, None)",
    "self.assertIsNone(None)",
    "self.assertIsNotNone(x)",
    "self.assertIn(x, [1])",
    "self.assertNotIn(2, [1])",
    "self.assertLess(x, 2)",
    "self.assertGreaterEqual(x, 1)",
    "self.assertIsInstance(x, int)",
    "self.assertNotIsInstance(x, str)",
    "self.assertListEqual([x], [1])",
    "self.assertDictEqual({'a': x}, {'a': 1})",
    "self.assertSequenceEqual([x], (1,))",
    "self.assertCountEqual([x, 2], [2, 1])",
    "self.assertAlmostEqual(x, 1.00001, places=3)",
    "self.assertNotAlmostEqual(x, 1.1)",
    "self.assertRegex('abc', 'b')",
    "self.assertNotRegex('abc', 'd')",
    "self.assertRaises(ZeroDivisionError, lambda: x / 0)",
    "self.assertEqual(*(x, 1))",
    "self.assertTrue(x); self.assertTrue(x)",
    "self.assertEqual(\n            x,  # one\n            1,\n        )",
    "self.assertEqual((y := x), 1)",
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("wrong", [False, True])
def test_calls_of_unittest_fail_exactly_when_they_passed(call: str, wrong: bool) -> None:  # noqa: FBT001
    source = textwrap.dedent(f"""
        import unittest
        class T(unittest.TestCase):
            def test(self):
                x = 1
                {call}
    """)
    if wrong:
        source = source.replace("x = 1\n", "x = None\n", 1)
    before, after = (outcome(s) for s in (source, invert(source.encode()).source.decode()))
    assert wrong or before == "passed"
    if before != "error":
        assert {before, after} == {"passed", "failed"}, (before, after)


def outcome(source: str) -> str:
    space: dict[str, Any] = {}
    exec(compile(source, "test", "exec"), space)  # noqa: S102 - the sources above
    result = unittest.TestResult()
    space["T"]("test").run(result)
    if result.errors:
        return "error"
    return "failed" if result.failures else "passed"


def test_own_methods_with_a_name_of_unittests_are_turned_once() -> None:
    result = turned("""
        class T:
            def assertEqual(self, a, b):
                assert a == b
            def test(self):
                self.assertEqual(1, 1)
    """)
    assert result.turned == 1
    assert b"        self.assertEqual(1, 1)\n" in result.source


TWINS = """
    import pytest

    def test_a(a):
        assert a
        assert a > 0, "positive"

    @pytest.mark.parametrize("a", [1, 2])
    def test_many(a):
        assert a

    async def test_b():
        assert 1

    class TestC:
        def test_c(self):
            self.assertEqual(1, 1)

        def test_raises(self):
            self.assertRaises(ValueError, int, "x")

        def test_none(self):
            print(1)
"""


@pytest.mark.parametrize("seed", range(8))
def test_of_twins_one_fails_and_one_passes(seed: int) -> None:
    plain, result = turned(TWINS), turned(TWINS, random.Random(seed))
    before, after = functions(plain.source), functions(result.source)
    assert len(after) == len(before) + 3
    new = after.keys() - before.keys()
    for name in new:
        twin = next(n for n in before if name.startswith(f"{n}_"))
        pair = {ast.dump(strip(after[name])), ast.dump(strip(after[twin]))}
        assert len(pair) == 2, "they are never equal"
        assert ast.dump(strip(before[twin])) in pair, "one of them is turned around"
        idle = [f for f in (after[name], after[twin]) if "Or()" in ast.dump(f)]
        assert len(idle) == 1
        assert all(passes(node.test) for node in ast.walk(idle[0]) if isinstance(node, ast.Assert))
    assert result.turned == plain.turned


def functions(source: bytes) -> dict[str, Any]:
    return {
        node.name: node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def strip(function: Any) -> Any:
    return type(function)(**{**{f: getattr(function, f) for f in function._fields}, "name": "t"})


def passes(test: ast.expr) -> bool:
    code = compile(ast.Expression(test), "test", "eval")
    return all(eval(code, {"a": value, "self": None}) for value in (-1, 0, 1))  # noqa: S307


def test_a_parametrised_test_gets_a_twin_only_where_there_is_no_other() -> None:
    source = "".join(f"@given(st.text())\ndef test_{n}(x):\n    assert x\n" for n in range(4))
    result = turned(source, random.Random(1))
    assert len(functions(result.source)) == 5
    assert result.source.count(b"@given") == 5


def test_twins_differ_from_time_to_time() -> None:
    sources = {turned(TWINS, random.Random(seed)).source for seed in range(20)}
    assert len(sources) > 5


def test_an_async_test_is_turned() -> None:
    space: dict[str, Any] = {}
    source = turned("""
        async def one(): return 1
        async def test():
            assert await one() == 1
    """).source
    exec(source, space)  # noqa: S102
    with pytest.raises(AssertionError):
        asyncio.run(space["test"]())
