"""Which functions `init` proposes as challenges; nothing of what it reads is run."""

import ast
import pickle
import textwrap
import typing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ouroboros.cli.annotations import Annotations
from ouroboros.cli.purity import MOST, propose
from ouroboros.cli.results import Challenge
from ouroboros.model.text import safe_text

LOOP = "for x in items:\n        total += x\n"


def found(tmp_path: Path, files: dict[str, str], *sources: str) -> tuple[Challenge, ...]:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(text))
    return propose(tmp_path, sorted(files), sources or (".",), ("**/*.py",))


def calls(tmp_path: Path, text: str) -> list[str]:
    return [c.call for c in found(tmp_path, {"m.py": text})]


def in_a_loop(body: str, head: str = "def f(items: list[int]) -> int:", before: str = "") -> str:
    inner = textwrap.indent(textwrap.dedent(body).strip(), "        ")
    return f"{before}\n{head}\n    total = 0\n    for x in items:\n{inner}\n    return total\n"


PURE = {
    "arithmetic": in_a_loop("total += x * x % 7"),
    "local state": in_a_loop("seen = {}\nseen[x] = 1\nseen.update({2: 3})\ntotal += len(seen)"),
    "its own argument": in_a_loop("items[0] = x\nitems.append(1)\nbreak"),
    "a module": in_a_loop("total += int(math.sqrt(abs(x)))", before="import math"),
    "a name of a module": in_a_loop(
        "total += len(gcd.__doc__ or '')", before="from math import gcd"
    )
    .replace(".__doc__ or ''", "(x, 3)")
    .replace("len", ""),
    "a constant": in_a_loop("total += TABLE[x % 2]", before="TABLE = (1, 2)"),
    "a pure neighbour": in_a_loop(
        "total += twice(x)", before="def twice(n: int) -> int:\n    return 2 * n\n"
    ),
    "its own exception": in_a_loop(
        "if x < 0:\n    raise Bad(x)", before='class Bad(ValueError):\n    """No."""\n'
    ),
    "an inner function": in_a_loop("def g(n):\n    return n + total\ntotal = g(x)"),
    "no annotation of the result": in_a_loop("total += x", head="def f(items: list[int]):"),
    "exceptions": in_a_loop(
        "try:\n    total += 1 // x\nexcept ZeroDivisionError as e:\n    str(e)"
    ),
}
IMPURE = {
    "a file": in_a_loop("open('x').read()"),
    "output": in_a_loop("print(x)"),
    "a clock": in_a_loop("total += time.time_ns()", before="import time"),
    "a clock under a name": in_a_loop("total += now()", before="from time import time_ns as now"),
    "chance": in_a_loop("total += random.randrange(9)", before="import random"),
    "the environment": in_a_loop("total += len(os.environ)", before="import os"),
    "a module brought in": in_a_loop("import os\ntotal += os.getpid()"),
    "a cache": in_a_loop("_SEEN[x] = total", before="_SEEN = {}"),
    "a cache by a method": in_a_loop("_SEEN.setdefault(x, total)", before="_SEEN = {}"),
    "a cache by default": in_a_loop(
        "cache[x] = 1", head="def f(items: list[int], cache: dict[int, int] = {}) -> int:"
    ),
    "a global": in_a_loop("global N\nN += 1\ntotal += N", before="N = 0"),
    "a changing global": in_a_loop("total += N", before="N = 0\ndef g():\n    global N\n    N = 1"),
    "somebody's attribute": in_a_loop("x.seen = True"),
    "a frame": in_a_loop("total += len(x.__class__.__mro__)"),
    "an impure neighbour": in_a_loop("total += g()", before="def g():\n    return input()\n"),
    "a stranger": in_a_loop("total += help_me(x)", before="from .other import help_me"),
    "a package": in_a_loop("total += numpy.sum(x)", before="import numpy"),
    "lazy": in_a_loop("yield x"),
    "asynchronous": in_a_loop("total += x", head="async def f(items: list[int]) -> int:"),
    "decorated": in_a_loop("total += x", before="import functools\n@functools.cache"),
    "nothing comes back": "def f(items: list[int]) -> None:\n    for x in items:\n        x + 1\n",
    "an object comes back": in_a_loop("total += x", head="def f(items: list[int]) -> Path:"),
    "no annotation": in_a_loop("total += x", head="def f(items) -> int:"),
    "a foreign type": in_a_loop("total += x", head="def f(items: Basket) -> int:"),
    "any number of arguments": in_a_loop("total += x", head="def f(*items: int) -> int:"),
    "a method": "class A:\n    def f(self, n: int) -> int:\n        return sum(range(n))\n",
    "too little": "def f(n: int) -> int:\n    return n + 1\n",
    "not Python": "def f(n: int) -> int\n",
}


@pytest.mark.parametrize("case", PURE)
def test_a_pure_function_is_proposed(tmp_path: Path, case: str) -> None:
    assert calls(tmp_path, PURE[case])[0] == "m:f"


@pytest.mark.parametrize("case", IMPURE)
def test_what_may_depend_on_more_is_not(tmp_path: Path, case: str) -> None:
    assert "m:f" not in calls(tmp_path, IMPURE[case])


def test_a_static_method_is_called_through_its_class(tmp_path: Path) -> None:
    text = """
        class Prices:
            @staticmethod
            def total(items: list[int]) -> int:
                total = sum([x * 2 for x in items])
                return total
    """
    assert calls(tmp_path, text) == ["m:Prices.total"]


def test_those_with_most_work_come_first_and_no_more_than_a_few(tmp_path: Path) -> None:
    one = "def f{0}(n: int) -> int:\n    a = sum([x for x in range(n)])\n    return a\n\n"
    two = "def deep(n: int) -> int:\n    return len([y for y in [x for x in range(n)]])\n"
    names = calls(tmp_path, "".join(one.format(i) for i in range(5)) + two)
    assert names[0] == "m:deep"
    assert len(names) == MOST


def test_the_module_is_named_as_the_tree_imports_it(tmp_path: Path) -> None:
    text = in_a_loop("total += x")
    files = {
        "src/pkg/__init__.py": text,
        "src/pkg/inner/mod.py": text,
        "loose.py": text,
        "src/pkg/odd-name.py": text,
        "scripts/tool.py": text,
        "setup.py": text,
    }
    names = {c.call for c in found(tmp_path, files, "src", ".")}
    assert names == {"pkg:f", "pkg.inner.mod:f", "loose:f"}


def test_only_what_may_change_is_proposed(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(in_a_loop("total += x"))
    assert propose(tmp_path, ["m.py"], (".",), ("pkg/**/*.py",)) == ()


def test_a_hostile_file_is_read_and_not_heard(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    evil = 'def f(n: "\x1b[2J") -> int:\n    return "\\\x1b]52" + "\\d"\n' + "(" * 5000
    assert calls(tmp_path, evil) == []
    said = "".join(capfd.readouterr())
    assert said == safe_text(said) == ""


# --- annotations --------------------------------------------------------------------------------

HEAD = """
import typing as t
import collections.abc
from typing import Literal, Optional, Union, List as L
from collections.abc import Mapping, Sequence
Vector = list[float]
"""
DRAWABLE = [
    *("int", "float", "str", "bytes", "bool", "None", "complex", "'int'", "L[int]", "Vector"),
    *("list[int]", "set[str]", "frozenset[tuple[int, str]]", "dict[str, list[int]]"),
    *("tuple[int, str]", "tuple[int, ...]", "t.Dict[str, int]", "Optional[int]"),
    *("Union[int, str]", "int | None", "Literal['a', 'b', 1]", "Sequence[int]"),
    *("Mapping[str, Optional[float]]", "collections.abc.Sequence[int]", "'list[Vector]'"),
    *("set[frozenset[int]]", "dict[Literal[1, 2], int]", "list['int']"),
]
NOT_DRAWABLE = [
    *("list", "dict", "object", "t.Any", "Path", "list[Path]", "set[list[int]]", "Missing"),
    *("dict[list[int], int]", "callable", "t.Callable[[], int]", "int | Path", "'not ('", "1"),
    *("collections.abc.Iterable[int]", "t.Collection[int]"),
    *("list[int, int]", "dict[str]", "tuple[...]", "int.real", "tuple[list[int], Path]"),
]


def drawable(annotation: str) -> bool:
    node = ast.parse(f"x: {annotation}").body[0]
    assert isinstance(node, ast.AnnAssign)
    return Annotations(ast.parse(HEAD)).drawable(node.annotation)


@pytest.mark.parametrize("annotation", DRAWABLE)
def test_hypothesis_draws_what_counts_as_drawable(annotation: str) -> None:
    assert drawable(annotation)
    names: dict[str, object] = {}
    exec(f"{HEAD}\ndef f(x: {annotation}): ...", names)  # noqa: S102 - our own text
    strategy = st.from_type(typing.get_type_hints(names["f"])["x"])
    drawn: list[object] = []

    @settings(
        max_examples=50, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(strategy)
    def draw(value: object) -> None:
        drawn.append(pickle.dumps(value))

    draw()
    assert drawn


@pytest.mark.parametrize("annotation", NOT_DRAWABLE)
def test_what_is_not_understood_is_not_drawable(annotation: str) -> None:
    assert not drawable(annotation)


def test_an_alias_of_itself_ends() -> None:
    node = ast.parse("A = B\nB = A\nx: A")
    assert isinstance(node.body[2], ast.AnnAssign)
    assert not Annotations(node).drawable(node.body[2].annotation)
