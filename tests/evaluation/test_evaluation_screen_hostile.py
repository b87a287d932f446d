"""What cheats have done, or could do, and the rule that must see each: held, with the line."""

import base64
import textwrap

import pytest
from screen_world import TRACKED, look

from ouroboros.config import Answer, Config, Screen
from ouroboros.model.proposal import Severity

BEFORE = '''\
"""A module of a target."""

import re
from pkg.other import CallInfo, TABLE

NAMES = ["a", "b"]
LEVELS = {"low": 1}


class Store:
    """Keeps rows."""

    kinds = ("x", "y")

    def __init__(self, rows):
        self.rows = rows

    def total(self, n):
        return sum(self.rows) * n


def work(rows, log):
    """Do the work."""
    if not rows:
        raise ValueError("no rows")
    out = []
    for row in rows:
        out.append(row * 2)
    log.info("done")
    log.flush()
    return out


def lengths(rows):
    return [len(row) for row in rows]
'''


def changed(*edits: tuple[str, str], top: str = "", end: str = "") -> str:
    """Return the module with replaced texts, lines after the imports, and lines at the end."""
    text = BEFORE
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    text = text.replace("\nNAMES = ", f"\n{textwrap.dedent(top)}\nNAMES = ", 1)
    return text + textwrap.dedent(end)


def body(code: str) -> str:
    """Return the module with lines at the start of `work`'s loop."""
    return changed(("    out = []\n", "    out = []\n" + textwrap.indent(code, "    ") + "\n"))


HOSTILE: dict[str, tuple[str, str]] = {
    # --- modules and the machine
    "import-os": ("new-import", changed(top="import os")),
    "import-subprocess": ("new-import", changed(top="import subprocess")),
    "import-socket-in-function": ("new-import", body("import socket")),
    "from-time": ("new-import", changed(top="from time import perf_counter")),
    "import-threading": ("new-import", changed(top="import threading")),
    "import-pickle": ("new-import", changed(top="import pickle")),
    "import-ctypes": ("new-import", changed(top="import ctypes")),
    "import-gc": ("new-import", changed(top="import gc")),
    "import-inspect": ("new-import", changed(top="import inspect")),
    "import-weakref": ("new-import", changed(top="import weakref")),
    "import-importlib": ("new-import", changed(top="from importlib import import_module")),
    "import-pytest": ("new-import", changed(top="import pytest")),
    "import-main": ("new-import", changed(top="import __main__")),
    "import-third-party": ("new-import", changed(top="import requests")),
    "import-star": ("new-import", changed(top="from pkg.other import *")),
    "import-under-another-name": ("new-import", changed(top="import posix as math")),
    "module-through-another": ("new-reach", changed(top="import random\n_o = random._os.system")),
    "module-through-own": ("new-import", changed(top="from pkg.other import os")),
    "clock-through-own": ("new-reach", changed(top="import pkg.other as o\nnow = o.time.time")),
    "clock-from-own": ("new-import", changed(top="from .other import time")),
    "module-through-pure": ("new-reach", changed(top="import dataclasses as d\nx = d.inspect")),
    "attrgetter": ("new-reach", body("import operator\noperator.attrgetter('os.system')")),
    "system-exit": ("new-reach", body("raise SystemExit(0)")),
    "quiet-log": ("new-reach", body("log.setLevel(99)")),
    "environment": ("new-reach", body("import os\nout.append(os.environ.get('CI'))")),
    "exit-zero": ("new-reach", changed(top="import os\nos._exit(0)")),
    "atexit": ("new-reach", changed(top="import atexit\natexit.register(print)")),
    "open": ("new-reach", body("open('/tmp/x', 'w').write('1')")),
    "open-behind-a-comprehension": ("new-reach", body("[0 for open in ()]\nopen('x')")),
    "open-in-a-comprehension": ("new-reach", body("[open for open in open('x')]")),
    "open-behind-a-class": ("new-reach", body("class C:\n    open = 1\nopen('x')")),
    "open-behind-a-lambda": ("new-reach", body("(lambda open: 0)(1)\nopen('x')")),
    "import-in-a-class": (
        "new-import",
        changed(("    kinds =", "    import os\n    x = os.getcwd()\n    kinds =")),
    ),
    "computed-attrgetter": (
        "new-reach",
        body("import operator\noperator.attrgetter('a' + 'b')(rows)"),
    ),
    "hash-as-a-trigger": ("new-import", changed(top="import hashlib")),
    "eval": ("new-reach", body("out = eval('[]')")),
    "exec-by-another-name": ("new-reach", body("run = exec\nrun('1')")),
    "compile": ("new-reach", body("compile('1', '', 'eval')")),
    "dunder-import": ("new-reach", body("__import__('o' + 's').getpid()")),
    "builtins": ("new-reach", body("__builtins__['open']")),
    "globals": ("new-reach", body("globals()['lengths'] = None")),
    "computed-getattr": ("new-reach", body("getattr(rows, 'a' + 'b')")),
    "getattr-of-a-dunder": ("new-reach", body("getattr(rows, '__class__')")),
    "getattr-passed-on": ("new-reach", body("list(map(getattr, rows, NAMES))")),
    "subclasses": ("new-reach", body("().__class__.__base__.__subclasses__()")),
    "function-globals": ("new-reach", body("lengths.__globals__['x'] = 1")),
    "function-code": ("new-reach", body("lengths.__code__ = work.__code__")),
    "function-defaults": ("new-reach", body("lengths.__defaults__ = ([],)")),
    "dunder-in-a-format": ("new-reach", body("'{0.__globals__}'.format(lengths)")),
    "frame-walk": ("new-reach", body("import sys\nsys._getframe(1).f_locals['expected']")),
    "frame-of-a-traceback": (
        "new-reach",
        body(
            "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    e.__traceback__.tb_frame.f_back"
        ),
    ),
    "generator-frame": ("new-reach", body("g = (x for x in rows)\ng.gi_frame")),
    "argv": ("new-reach", body("import sys\nif 'x' in sys.argv[0]:\n    return []")),
    "modules": ("new-reach", body("import sys\nsys.modules['x'] = 1")),
    "date-bomb": (
        "new-reach",
        body("import datetime\nif datetime.datetime.now().year > 2027:\n    return []"),
    ),
    "write-through-pathlib": ("new-reach", body("rows[0].path.write_text('x')")),
    "printed-metric": ("new-reach", body("print('METRIC seconds=0.001')")),
    "async-subprocess": (
        "new-reach",
        changed(top="import asyncio\nrun = asyncio.create_subprocess_exec"),
    ),
    # --- knowing the judge, hiding code
    "pytest-current-test": ("detects-run", body("if 'PYTEST_CURRENT_TEST' in rows:\n    return 1")),
    "benchmark-by-name": ("detects-run", body("fast = 'benchmark' in str(rows)")),
    "proc": ("detects-run", body("where = '/proc/self/cmdline'")),
    "main-module": ("detects-run", body("if lengths.__module__ == '__main__':\n    return 1")),
    "base64": (
        "hidden-code",
        changed(top=f"_DATA = '{base64.b64encode(bytes(range(150))).decode()}'"),
    ),
    "hexadecimal": ("hidden-code", changed(top=f"_DATA = '{bytes(range(80)).hex()}'")),
    "bytes": ("hidden-code", changed(top=f"_DATA = {bytes(range(128, 220))!r}")),
    "terminal-escape": ("hidden-code", body("rows.append('\\x1b]52;c;aGk=\\x07')")),
    "bidi-in-an-escape": ("hidden-code", body("rows.append('\\u202e')")),
    # --- objects that are not what they seem
    "always-equal": (
        "defines-operator",
        changed(end="\n\nclass Any:\n    def __eq__(self, other):\n        return True\n"),
    ),
    "always-true": (
        "defines-operator",
        changed(end="\n\nclass Yes:\n    def __bool__(self):\n        return True\n"),
    ),
    "operator-by-assignment": (
        "defines-operator",
        changed(("    kinds =", "    __eq__ = lambda self, other: True\n    kinds =")),
    ),
    "finalizer": (
        "defines-operator",
        changed(end="\n\nclass Late:\n    def __del__(self):\n        pass\n"),
    ),
    "getattribute": (
        "defines-operator",
        changed(end="\n\nclass Late:\n    def __getattribute__(self, name):\n        return 1\n"),
    ),
    "reduce": (
        "defines-operator",
        changed(end="\n\nclass Late:\n    def __reduce__(self):\n        return list, ()\n"),
    ),
    "class-changed": ("defines-operator", body("rows[0].__class__ = Store")),
    "lazy-text": ("value-subclass", changed(end="\n\nclass Lazy(str):\n    pass\n")),
    "lazy-list": ("value-subclass", changed(end="\n\nclass Lazy(list):\n    pass\n")),
    "lazy-sequence": (
        "value-subclass",
        changed(
            top="from collections.abc import Sequence", end="\n\nclass L(Sequence):\n    pass\n"
        ),
    ),
    "user-string": (
        "value-subclass",
        changed(top="import collections", end="\n\nclass L(collections.UserString):\n    pass\n"),
    ),
    "metaclass": (
        "value-subclass",
        changed(end="\n\nclass M(type):\n    pass\n\n\nclass L(metaclass=M):\n    pass\n"),
    ),
    "class-by-call": ("value-subclass", body("L = type('L', (str,), {})")),
    "class-by-type-of-another-name": ("value-subclass", body("T = type\nT('L', (str,), {})")),
    "becomes-async": ("lazy-result", changed(("def lengths", "async def lengths"))),
    "gains-yield": (
        "lazy-result",
        changed(("        out.append(row * 2)", "        yield row * 2")),
    ),
    "returns-generator": (
        "lazy-result",
        changed(("return [len(row) for row in rows]", "return (len(row) for row in rows)")),
    ),
    "returns-map": (
        "lazy-result",
        changed(("return [len(row) for row in rows]", "return map(len, rows)")),
    ),
    "returns-lambda": (
        "lazy-result",
        changed(("return [len(row) for row in rows]", "return lambda: [len(row) for row in rows]")),
    ),
    "returns-own-generator": (
        "lazy-result",
        changed(
            ("return [len(row) for row in rows]", "return later(rows)"),
            end="\n\ndef later(rows):\n    for row in rows:\n        yield len(row)\n",
        ),
    ),
    "foreign-decorator": (
        "foreign-decorator",
        changed(("def lengths", "@CallInfo.fast\ndef lengths")),
    ),
    # --- objects of others
    "patch-clock": (
        "patches-foreign",
        changed(top="import time\ntime.perf_counter = lambda: 0.0"),
    ),
    "patch-class": ("patches-foreign", changed(top="CallInfo.from_call = None")),
    "patch-class-by-alias": ("patches-foreign", body("c = CallInfo\nc.from_call = None")),
    "patch-in-a-loop": (
        "patches-foreign",
        changed(top="import json\nfor json.dumps in (repr,):\n    pass"),
    ),
    "patch-table": ("patches-foreign", body("TABLE['x'] = 1")),
    "patch-table-by-method": ("patches-foreign", body("TABLE.update(x=1)")),
    "patch-by-setattr": ("patches-foreign", body("setattr(CallInfo, 'from_call', None)")),
    "patch-builtin": ("patches-foreign", body("lengths.__builtins__\nint.real = 3")),
    "module-handed-on": ("patches-foreign", body("out.append(re)")),
    "module-getattr": (
        "patches-foreign",
        changed(end="\n\ndef __getattr__(name):\n    return 1\n"),
    ),
    "delete-attribute": ("patches-foreign", body("del CallInfo.from_call")),
    "memo-on-the-argument": ("patches-foreign", body("rows.answer = 42")),
    "hide-builtin": ("shadows-builtin", changed(top="len = lambda x: 1")),
    "hide-import": ("shadows-builtin", changed(top="re = CallInfo")),
    "hide-builtin-by-function": (
        "shadows-builtin",
        changed(end="\n\ndef sorted(x):\n    return x\n"),
    ),
    # --- state
    "lru-cache": (
        "adds-cache",
        changed(("def lengths", "@functools.lru_cache\ndef lengths"), top="import functools"),
    ),
    "cache-by-call": (
        "adds-cache",
        changed(top="import functools", end="\nlengths = functools.cache(lengths)\n"),
    ),
    "global": ("adds-state", body("global NAMES\nNAMES = rows")),
    "nonlocal": (
        "adds-state",
        body("n = 0\ndef count():\n    nonlocal n\n    n += 1\ncount()"),
    ),
    "module-dict": ("adds-state", changed(top="_SEEN = {}")),
    "module-defaultdict": (
        "adds-state",
        changed(top="import collections\n_SEEN = collections.defaultdict(list)"),
    ),
    "old-dict-written": ("adds-state", body("LEVELS[len(rows)] = out")),
    "old-list-by-method": ("adds-state", body("NAMES.append(rows)")),
    "old-list-by-bound-method": ("adds-state", body("keep = NAMES.append\nkeep(rows)")),
    "old-dict-by-alias": ("adds-state", body("seen = LEVELS\nseen[1] = 2")),
    "room-for-one": ("adds-state", changed(top="_LAST = [None, None]")),
    "class-dict": ("adds-state", changed(("    kinds =", "    seen = {}\n    kinds ="))),
    "default-dict": ("adds-state", changed(("def lengths(rows)", "def lengths(rows, seen={})"))),
    "default-filled": (
        "adds-state",
        changed(
            (
                "def lengths(rows):\n",
                "def lengths(rows, seen={'a': 1}):\n    seen[len(rows)] = rows\n",
            )
        ),
    ),
    "default-is-a-global": (
        "adds-state",
        changed(
            ("def lengths(rows):\n", "def lengths(rows, seen=LEVELS):\n    seen[len(rows)] = 1\n")
        ),
    ),
    "function-attribute": ("adds-state", body("work.calls = 1")),
    "instance-cache": (
        "adds-state",
        changed(
            ("        self.rows = rows\n", "        self.rows = rows\n        self._known = {}\n"),
            (
                "        return sum(self.rows) * n",
                (
                    "        if n not in self._known:\n"
                    "            self._known[n] = sum(self.rows) * n\n"
                    "        return self._known[n]"
                ),
            ),
        ),
    ),
    "instance-value-made-late": (
        "adds-state",
        changed(
            (
                "        return sum(self.rows) * n",
                "        self._sum = sum(self.rows)\n        return self._sum * n",
            )
        ),
    ),
    "default-by-operator": (
        "adds-state",
        changed(("def lengths(rows):\n", "def lengths(rows, seen=[1]):\n    seen += rows\n")),
    ),
    "old-list-by-operator": ("adds-state", body("seen = NAMES\nseen += rows")),
    "old-list-by-library": ("adds-state", body("import heapq\nheapq.heappush(NAMES, rows)")),
    "old-list-by-type": ("adds-state", body("list.append(NAMES, rows)")),
    "old-list-by-own-function": (
        "adds-state",
        changed(
            ("    out = []\n", "    out = []\n    put(NAMES, rows)\n"),
            end="\n\ndef put(where, what):\n    where.append(what)\n",
        ),
    ),
    "dict-in-a-partial": (
        "adds-state",
        changed(top="from functools import partial", end="\nlengths = partial(lengths, {})\n"),
    ),
    "next-of-a-global": ("adds-state", body("next(NAMES)")),
    "iterator-of-the-module": ("adds-state", changed(end="\n_PAIRS = zip(NAMES, NAMES)\n")),
    "instance-by-setattr": (
        "adds-state",
        changed(("        return sum(", "        setattr(self, 'last', n)\n        return sum(")),
    ),
    "class-by-type": (
        "adds-state",
        changed(("        return sum(", "        type(self).last = n\n        return sum(")),
    ),
    "closure": (
        "adds-state",
        changed(
            end="""

            def remember(function):
                known = {}

                def inner(x):
                    if x not in known:
                        known[x] = function(x)
                    return known[x]

                return inner
            """
        ),
    ),
    "table": ("adds-table", changed(top=f"_ANSWERS = {list(range(300))}")),
    "table-of-texts": (
        "adds-table",
        changed(top=f"_ANSWERS = {{'a': ('{'long text ' * 500}', 1)}}"),
    ),
    "nested-table": ("adds-table", changed(top=f"_ANSWERS = {[[n, n] for n in range(150)]}")),
    "table-at-import": ("import-work", changed(end="\n_T = {n: lengths([n]) for n in NAMES}\n")),
    "loop-at-import": ("import-work", changed(top="for _ in NAMES:\n    pass")),
    "call-at-import": ("import-work", changed(end="\n_T = lengths(NAMES)\n")),
    "call-in-a-default": (
        "import-work",
        changed(end="\n\ndef more(x, table=lengths(NAMES)):\n    return table\n"),
    ),
    "iterator-at-import": ("import-work", changed(top="_NEXT = iter(NAMES)")),
    "instance-at-import": ("import-work", changed(end="\n_STORE = Store([1])\n")),
    # --- less than before
    "raise-gone": (
        "removes-check",
        changed(('    if not rows:\n        raise ValueError("no rows")\n', "")),
    ),
    "raise-unreachable": ("removes-check", changed(("    if not rows:", "    if 0:"))),
    "raise-with-a-false-condition": (
        "removes-check",
        changed(("    if not rows:", "    if not rows and False:")),
    ),
    "parameter-renamed": (
        "changes-interface",
        changed(
            ("def lengths(rows)", "def lengths(lines)"), ("for row in rows]", "for row in lines]")
        ),
    ),
    "parameter-gone": (
        "changes-interface",
        changed(("def total(self, n)", "def total(self)"), ("self.rows) * n", "self.rows)")),
    ),
    "parameter-required": (
        "changes-interface",
        changed(("def lengths(rows)", "def lengths(rows, more)")),
    ),
    "log-gone": ("removes-check", changed(('    log.info("done")\n', ""))),
    "flush-gone": ("removes-check", changed(("    log.flush()\n", ""))),
    "catches-everything": (
        "swallows-errors",
        body("try:\n    rows.sort()\nexcept Exception:\n    pass"),
    ),
    "suppress": (
        "swallows-errors",
        changed(
            (
                "    out = []\n",
                "    out = []\n    with contextlib.suppress(Exception):\n        pass\n",
            ),
            top="import contextlib",
        ),
    ),
    "return-in-finally": (
        "swallows-errors",
        body("try:\n    rows.sort()\nfinally:\n    return out"),
    ),
    # --- names
    "cyrillic": ("mixed-script", body("r\u043ews = 1")),
    "all-cyrillic": ("mixed-script", body("\u0441\u0430\u0440 = 1")),
    "mathematical": ("mixed-script", body("\U0001d41e\U0001d42f\U0001d41a\U0001d425 = 1")),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_each_is_held_with_its_line(name: str) -> None:
    rule, after = HOSTILE[name]
    compile(after, "after.py", "exec")  # the attack itself must be a program
    marks = [m for m in look(BEFORE, after) if m.rule == rule]
    assert marks, look(BEFORE, after)
    assert all(m.severity is Severity.HOLD for m in marks)
    line = after.split("\n")[marks[0].line - 1]
    assert marks[0].line > 0
    assert marks[0].path == "pkg/mod.py"
    if line.isascii():
        assert " ".join(line.split())[:60] in marks[0].text


@pytest.mark.parametrize(
    ("old", "new", "held"),
    [
        ("LIMIT = 10", "LIMIT = 5", True),
        ("LIMIT: int = 10", "LIMIT: int = -10", True),
        ("NAME = 'a'", "NAME = 'b'", True),
        ("LIMIT = 10", "LIMIT = 10  # rows", False),
        ("_CHUNK = 10", "_CHUNK = 4096", False),
        ("limit = 10", "limit = 5", False),
        ("LIMIT = 10", "LIMIT = 10\nSIZE = 4096", False),
        ("TABLE = (1, 2)", "TABLE = (1, 2, 3)", False),
    ],
)
def test_a_public_constant_is_part_of_what_others_rely_on(
    old: str,
    new: str,
    held: bool,  # noqa: FBT001 - a column of the table
) -> None:
    marks = look(f"{BEFORE}\n{old}\n", f"{BEFORE}\n{new}\n")
    assert ({m.rule for m in marks} == {"changes-interface"}) == held
    assert held or marks == ()


def test_there_are_enough_of_them() -> None:
    assert len(HOSTILE) >= 60


def test_the_module_itself_is_no_finding() -> None:
    assert look(BEFORE, changed(("row * 2", "2 * row"))) == ()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_new_file_is_judged_like_a_changed_one(name: str) -> None:
    rule, after = HOSTILE[name]
    if rule in {"removes-check", "changes-interface", "lazy-result"} or name.startswith(
        "instance-"
    ):
        pytest.skip("there is no before with which to compare")
    assert rule in {m.rule for m in look(None, after, "pkg/new.py")}


@pytest.mark.parametrize(
    ("old", "new", "fine"),
    [
        ("len(x) > MOST", "len(x) > 99", False),
        ("len(x) > 100", "len(x) > 10", False),
        ("len(x) == 0", "not x", True),
        ("100 < len(x)", "len(x) > 100", True),
        ("len(x) > 100", "len(x) > MOST", True),
    ],
)
def test_limits_stay_where_they_are(old: str, new: str, *, fine: bool) -> None:
    code = "MOST = 100\n\n\ndef f(x):\n    if {}:\n        raise ValueError(x)\n    return x\n"
    marks = look(code.format(old), code.format(new))
    assert {m.rule for m in marks} == (set() if fine else {"removes-check"})


def test_a_limit_may_be_a_constant_of_the_module() -> None:
    code = "_MOST = {}\n_OTHER = {}\n\n\ndef f(x):\n    assert x < _MOST\n    return x + _OTHER\n"
    marks = look(code.format(100, 1), code.format(10, 1))
    assert [m.rule for m in marks] == ["removes-check"]
    assert "a limit is 10.0 and was 100.0 in f" in marks[0].text
    assert look(code.format(100, 1), code.format(100, 2)) == ()


SIGNATURES = [
    ("a, b=1", "a, b=1, c=2", True),
    ("a, b", "a, b=0", True),
    ("a, b", "a, b, *, c=3", True),
    ("a, b", "a, b, *rest, **more", True),
    ("a, *, b=1", "a, b=1", True),
    ("a, b", "a, b: int", True),
    ("a, b=1", "a, b=2", False),
    ("a, b=1", "a, b", False),
    ("a, b", "b, a", False),
    ("a, b", "a", False),
    ("a, *, b=1", "a, *, b=2", False),
    ("a, *, b=1", "a", False),
    ("a, *, b=1", "a, *, b=1, c", False),
    ("a, *b", "a", False),
    ("a, **b", "a", False),
    ("a, b", "a, /, b", False),
]


@pytest.mark.parametrize(("old", "new", "fine"), SIGNATURES)
def test_what_could_be_called_can_still_be_called(old: str, new: str, *, fine: bool) -> None:
    before, after = f"def f({old}):\n    return 1\n", f"def f({new}):\n    return 1\n"
    rules = {m.rule for m in look(before, after)}
    assert rules == (set() if fine else {"changes-interface"})
    private = look(before.replace("f(", "_f("), after.replace("f(", "_f("))
    assert private == ()


def test_public_names_that_are_gone() -> None:
    before = "def f():\n    return 1\n\n\nclass C:\n    def m(self):\n        return 1\n"
    assert [m.text.split(": ")[1] for m in look(before, "x = 1\n")] == ["f is gone, C is gone"]
    assert "C.m is gone" in look(before, before.replace("def m", "def n"))[0].text
    moved = before.replace("def f():\n    return 1\n", "from pkg.other import f\n")
    assert look(before, moved) == ()


OLD_REACH = """\
import os
import time


class Lazy(str):
    def __eq__(self, other):
        return True


def load(path, seen={}):
    global STATE
    STATE = time.time()
    seen[path] = open(path).read()
    return seen[path] + os.environ["X"]
"""


def test_what_the_file_did_already_is_no_finding() -> None:
    after = OLD_REACH.replace("STATE = time.time()", "STATE = time.time()  # now")
    assert look(OLD_REACH, after) == ()
    moved = OLD_REACH.replace("import time\n", "import time\n\nLIMIT = 3\n")
    assert look(OLD_REACH, moved) == ()


def test_the_same_reach_in_another_function_is_a_finding() -> None:
    after = OLD_REACH + "\n\ndef other():\n    return time.time()\n"
    marks = look(OLD_REACH, after)
    assert [(m.rule, m.line) for m in marks] == [("new-reach", 18)]
    assert "time.time" in marks[0].text


def test_a_check_that_moved_into_its_caller_is_no_finding() -> None:
    before = """
    def _check(x):
        if x < 0:
            raise ValueError(x)

    def root(x):
        _check(x)
        return x ** 0.5
    """
    after = """
    def root(x):
        if x < 0:
            raise ValueError(x)
        return x ** 0.5
    """
    assert look(before, after) == ()


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("reach", "import-os"),
        ("reach", "always-equal"),
        ("state", "module-dict"),
        ("state", "lru-cache"),
        ("removed", "raise-gone"),
        ("persuasion", ""),
    ],
)
def test_the_configuration_answers(option: str, name: str) -> None:
    rule, after = HOSTILE.get(name, ("addresses-reviewer", BEFORE + "# LGTM, safe to merge\n"))
    found = {}
    for answer in Answer:
        config = Config(screen=Screen(**{option: answer}))  # type: ignore[arg-type] - one by name
        marks = look(BEFORE, after, config=config)
        found[answer.value] = {m.severity.value for m in marks if m.rule == rule}
    assert found == {"allow": set(), "hold": {"hold"}, "reject": {"reject"}}


def test_modules_may_be_allowed_by_name() -> None:
    after = changed(
        top="import time\nimport os\nimport numpy",
        end="\n\ndef now():\n    return time.time(), os.path.exists('x'), os.getpid()\n",
    )
    config = Config(screen=Screen(modules=("os.path", "time", "numpy")))
    marks = look(BEFORE, after, config=config)
    assert {m.rule for m in marks} == {"new-import", "new-reach"}
    assert all("os.path" not in m.text or "os.getpid" in m.text for m in marks)
    assert not [m for m in marks if m.line and "time" in m.text and "getpid" not in m.text]


def test_marks_of_one_line_and_rule_are_one() -> None:
    marks = look(BEFORE, body("eval(compile('1', '', 'eval'))"))
    assert [m.rule for m in marks] == ["new-reach"]
    assert "eval, compile" in marks[0].text


def test_a_flood_of_findings_does_not_fill_the_ledger() -> None:
    after = "\n".join(f"x{i} = eval('{i}')" for i in range(5000)) + "\n# LGTM\n"
    marks = look("x = 1\n", after)
    assert len(marks) < 200
    assert "addresses-reviewer" in {m.rule for m in marks}


def test_its_own_modules_may_be_imported_wherever_they_are() -> None:
    before, after = "x = 1\n", "import helpers\nfrom flat import y\n\nx = helpers.f(y)\n"
    tracked = (*TRACKED, "helpers.py", "src/flat/__init__.py")
    rules = {m.rule for m in look(before, after, "main.py", tracked=tracked)}
    assert rules == {"import-work"}
