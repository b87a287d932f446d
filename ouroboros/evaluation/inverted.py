"""Test files turned around: what passed must fail. Pure; nothing of the target is executed.

A test run is untrusted code reporting on itself: whoever patches pytest or unittest in the process
makes every test pass. So the same tests run once more with each `assert X` written as
`assert not (X)`, and each `self.assertEqual(a, b)` as `assert not ((a) == (b))`: an honest run
fails now, one that swallows failures passes again. Sources are edited in place, by the positions of
the syntax tree, so that lines and everything else stay as they are.

One that answers "failed" to everything as soon as it notices the control would still get through.
So some test functions get a twin: one of the two, chosen by a coin, is turned around, the other
passes whatever the code does (`assert not (X) or 1`). Which is which cannot be told from the names
of the tests, nor from how many pass; only from the code of each test.

Left alone: what runs at import or sets up (module and class level, fixtures, `setUp`), since a
failure there would hide the tests themselves; `with self.assertRaises` and `pytest.raises`.
"""

import ast
import contextlib
import io
import random
import re
import tokenize
import unittest
from collections.abc import Iterator

import msgspec

_PARSES = 3
_TWINS = 3
"""Most twins in one file."""

_SUFFIXES = ("again", "more", "other", "also", "too", "next")
_PREPARING = re.compile(
    r"(setUp|tearDown)(Class|Module)?|async(SetUp|TearDown)"
    r"|(setup|teardown)(_(module|class|function|method))?"
)
_CONDITIONS = {
    "assertTrue": "({0})",
    "assertFalse": "not ({0})",
    "assertEqual": "({0}) == ({1})",
    "assertNotEqual": "({0}) != ({1})",
    "assertIs": "({0}) is ({1})",
    "assertIsNot": "({0}) is not ({1})",
    "assertIsNone": "({0}) is None",
    "assertIsNotNone": "({0}) is not None",
    "assertIn": "({0}) in ({1})",
    "assertNotIn": "({0}) not in ({1})",
    "assertLess": "({0}) < ({1})",
    "assertLessEqual": "({0}) <= ({1})",
    "assertGreater": "({0}) > ({1})",
    "assertGreaterEqual": "({0}) >= ({1})",
    "assertIsInstance": "isinstance({0}, {1})",
    "assertNotIsInstance": "not isinstance({0}, {1})",
    "assertListEqual": "({0}) == ({1})",
    "assertTupleEqual": "({0}) == ({1})",
    "assertSetEqual": "({0}) == ({1})",
    "assertDictEqual": "({0}) == ({1})",
    "assertMultiLineEqual": "({0}) == ({1})",
}
"""What unittest's methods assert. As a plain `assert`, so that none of them is relied on."""

_OPPOSITES = {
    "assertAlmostEqual": "assertNotAlmostEqual",
    "assertNotAlmostEqual": "assertAlmostEqual",
    "assertRegex": "assertNotRegex",
    "assertNotRegex": "assertRegex",
}
_METHODS = {name for name in dir(unittest.TestCase) if name.startswith("assert")}
_LINE_END = re.compile(rb"\r\n|\r|\n")

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Inverted(msgspec.Struct, frozen=True, kw_only=True):
    """A file turned around, and how many of its assertions were."""

    source: bytes
    turned: int


class Refusal(Exception):  # noqa: N818 - a finding: the file is left alone, and that is said
    """The file cannot be turned around."""


class _Edit(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in place of the bytes from `start` to `end`; `idle` passes whatever happens."""

    start: int
    end: int
    turned: bytes
    idle: bytes | None


class _Twin(msgspec.Struct, frozen=True, kw_only=True):
    """A function that is written twice; `idle`: the first of the two is the idle one."""

    function: Function
    name: str
    idle: bool


def invert(source: bytes, coin: random.Random | None = None) -> Inverted:
    """Turn every assertion of a test file around.

    Args:
        source: the file.
        coin: chooses the twins; None for none.

    Raises:
        Refusal: this Python does not understand the file.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        text = source.decode(encoding)
        tree = _parse(text)
        result = _File(text.encode(), tree).write(coin)
        _parse(result.source.decode())
        return Inverted(source=result.source.decode().encode(encoding), turned=result.turned)
    except (
        SyntaxError,
        ValueError,
        LookupError,
        RecursionError,
        MemoryError,
        SystemError,
    ) as error:
        raise Refusal(f"{type(error).__name__}: {error}") from error


def _parse(text: str) -> ast.Module:
    """Parse; two parses at once may confuse CPython's count of their depth: it is asked again."""
    for _ in range(_PARSES):
        with contextlib.suppress(SystemError):
            return ast.parse(text)
    return ast.parse(text)


class _File:
    """The bytes of a file (in UTF-8, which is what the tree's columns count) and its edits."""

    def __init__(self, data: bytes, tree: ast.Module) -> None:
        self._data = data
        self._starts = [0, *(m.end() for m in _LINE_END.finditer(data))]
        defined = {n.name for n in ast.walk(tree) if isinstance(n, Function)}
        self._methods = _METHODS - defined  # a method of the file's own is turned around itself
        self._tree = tree
        self._edits = sorted(self._find(tree), key=lambda edit: edit.start)

    def write(self, coin: random.Random | None) -> Inverted:
        out, at = [], 0
        for twin in self._choose(coin) if coin else []:
            start, end = self._lines(twin.function)
            out += [self._part(at, start, idle=False), self._part(start, end, idle=twin.idle)]
            out.append(b"" if out[-1].endswith((b"\n", b"\r")) else b"\n")
            out.append(self._part(start, end, idle=not twin.idle, twin=twin))
            at = end
        out.append(self._part(at, len(self._data), idle=False))
        return Inverted(source=b"".join(out), turned=len(self._edits))

    def _part(self, start: int, end: int, *, idle: bool, twin: "_Twin | None" = None) -> bytes:
        edits = [(e.start, e.end, e.idle if idle else e.turned) for e in self._inside(start, end)]
        if twin:
            edits = sorted([*edits, (*self._name(twin.function), twin.name.encode())])
        out, at = [], start
        for low, high, text in edits:
            out += [self._data[at:low], text or b""]
            at = high
        return b"".join([*out, self._data[at:end]])

    def _inside(self, start: int, end: int) -> list[_Edit]:
        return [e for e in self._edits if start <= e.start < end]

    # --- what is turned around ------------------------------------------------------------------

    def _find(self, node: ast.AST, *, within: bool = False) -> Iterator[_Edit]:
        """Go through statements; `within` a function that is no preparation."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
                if not _prepares(child):
                    yield from self._find(child, within=True)
            elif isinstance(child, ast.Assert) and within:
                yield self._assertion(child)
            elif isinstance(child, ast.Expr) and within:
                if edit := self._call(child):
                    yield edit
            elif not isinstance(child, ast.expr):
                yield from self._find(child, within=within)

    def _assertion(self, node: ast.Assert) -> _Edit:
        start, end = self._span(node.test)
        turned = b"not (%s)" % self._data[start:end]
        return _Edit(start=start, end=end, turned=turned, idle=turned + b" or 1")

    def _call(self, node: ast.Expr) -> _Edit | None:
        call = node.value
        if not (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and isinstance(call.func.value, ast.Name)
            and call.func.value.id in ("self", "cls")
            and call.func.attr in self._methods
        ):
            return None
        start, end = self._span(node)
        if condition := self._condition(call):
            fewer = self._data[start:end].count(b"\n") - condition.count(b"\n")
            turned = b"assert not (%s%s)" % (condition, b"\n" * fewer)
            return _Edit(start=start, end=end, turned=turned, idle=turned + b" or 1")
        return self._renamed(call, call.func)

    def _condition(self, call: ast.Call) -> bytes:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        template = _CONDITIONS.get(name)
        if template is None or any(isinstance(a, ast.Starred) for a in call.args):
            return b""
        wanted = 2 if "{1}" in template else 1
        if len(call.args) not in (wanted, wanted + 1) or any(k.arg != "msg" for k in call.keywords):
            return b""
        parts = [self._data[slice(*self._span(a))].decode() for a in call.args]
        return template.format(*parts).encode()

    def _renamed(self, call: ast.Call, function: ast.Attribute) -> _Edit:
        """Have a method of unittest fail where it passed: by its opposite, or by `assertRaises`."""
        start, end = self._span(function)
        owner, dot, name = self._data[start:end].decode().rpartition(".")
        if opposite := _OPPOSITES.get(name.strip()):
            turned = f"{owner}{dot}{opposite}".encode()
            return _Edit(start=start, end=end, turned=turned, idle=None)
        at = self._data.index(b"(", end) + 1
        comma = ", " if call.args or call.keywords else ""
        turned = f"{owner}{dot}assertRaises(AssertionError, {owner}{dot}{name}{comma}".encode()
        return _Edit(start=start, end=at, turned=turned, idle=None)

    # --- twins ----------------------------------------------------------------------------------

    def _choose(self, coin: random.Random) -> "list[_Twin]":
        able = [f for f in self._functions() if self._can_be_idle(f)]
        # Parameters and examples would multiply what a twin costs.
        plain = [f for f in able if not f.decorator_list] or able[:1]
        chosen = sorted(coin.sample(plain, min(_TWINS, len(plain))), key=lambda f: f.lineno)
        names = [self._fresh_name(f, coin) for f in chosen]
        idle = [coin.random() < 0.5 for _ in chosen]  # noqa: PLR2004 - a fair coin
        return [
            _Twin(function=f, name=n, idle=i) for f, n, i in zip(chosen, names, idle, strict=True)
        ]

    def _functions(self) -> Iterator[Function]:
        for node in self._tree.body:
            for inner in node.body if isinstance(node, ast.ClassDef) else [node]:
                if isinstance(inner, Function) and inner.name.startswith("test"):
                    yield inner

    def _can_be_idle(self, function: Function) -> bool:
        edits = self._inside(*self._lines(function))
        return bool(edits) and all(e.idle for e in edits) and self._name(function) != (0, 0)

    def _lines(self, function: Function) -> tuple[int, int]:
        first = min(n.lineno for n in (function, *function.decorator_list))
        last = function.end_lineno or first
        after = self._starts[last] if last < len(self._starts) else len(self._data)
        return self._starts[first - 1], after

    def _name(self, function: Function) -> tuple[int, int]:
        """Where the name of a function stands; (0, 0) if it is written in a strange way."""
        at = self._starts[function.lineno - 1] + function.col_offset
        found = re.compile(rb"(?:async[ \t]+)?def[ \t]+(%s)\b" % function.name.encode()).match(
            self._data, at
        )
        return found.span(1) if found else (0, 0)

    def _fresh_name(self, function: Function, coin: random.Random) -> str:
        names = [f"{function.name}_{s}" for s in coin.sample(_SUFFIXES, len(_SUFFIXES))]
        names.append(f"{function.name}_{coin.getrandbits(32):08x}")
        return next(n for n in names if n.encode() not in self._data or n == names[-1])

    def _span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or 0
        start = self._starts[node.lineno - 1] + node.col_offset
        return start, self._starts[end_line - 1] + end_column


def _prepares(function: Function) -> bool:
    names = (_last_name(d) for d in function.decorator_list)
    return bool(_PREPARING.fullmatch(function.name)) or any(n.endswith("fixture") for n in names)


def _last_name(decorator: ast.expr) -> str:
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
