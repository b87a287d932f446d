"""Near misses: code that looks like a site and is none. Nothing may be offered there."""
# ruff: noqa: E501 - one near miss a line, so that they can be compared

import pytest

from ouroboros.proposers.codemod.catalogue import TRANSFORMATIONS

from .conftest import rewrites

NEAR_MISSES: dict[str, list[str]] = {
    "literal-set": [
        "def f(x: str):\n    return x in ['a', 'b', 'c']",
        "def f(x: str, y):\n    return x in ['a', 'b', 'c', y]",
        "def f(x: str, y):\n    return x in ['a', 'b', 'c', *y]",
        "def f(x: str):\n    return x in ['a', 'b', 'c', [1]]",
        "def f(x):\n    return x == ['a', 'b', 'c', 'd']",
        "def f(x):\n    return x < 3 in [1, 2, 3, 4]",
    ],
    "constant-set": [
        "N = ['a', 'b', 'c', 'd']\nN.append('e')\ndef f(x: str):\n    return x in N",
        "N = ['a', 'b', 'c', 'd']\nN[0] = 'e'\ndef f(x: str):\n    return x in N",
        "N = ['a', 'b', 'c', 'd']\nN = N[1:]\ndef f(x: str):\n    return x in N",
        "N = ['a', 'b', 'c', 'd']\nN += ['e']\ndef f(x: str):\n    return x in N",
        "N = ['a', 'b', 'c', 'd']\ndef g():\n    global N\n    N = []\ndef f(x: str):\n    return x in N",
        "N = ['a', 'b', 'c', 'd']\nhand_out(N)\ndef f(x: str):\n    return x in N",
        "N = ['a', 'b', 'c', 'd']\ndef g():\n    return N\ndef f(x: str):\n    return x in N",
        "N = ['a', 'b', 'c', 'd']\nM = N\ndef f(x: str):\n    return x in N",
        "if 1:\n    N = ['a', 'b', 'c', 'd']\ndef f(x: str):\n    return x in N",
        "N = ['a', 'b', 'c', 'd']\ndef f(x: str, N):\n    return x in N",
        "N = ['a', 'b', 'c', y]\ndef f(x: str):\n    return x in N",
        "N = 'abcd'\ndef f(x: str):\n    return x in N",
        "from m import *\nN = ['a', 'b', 'c', 'd']\ndef f(x: str):\n    return x in N",
    ],
    "local-set": [
        "def f(xs, ys):\n    return [x for x in xs if x in ys]",
        "def f(xs, ys: str):\n    return [x for x in xs if x in ys]",
        "def f(xs, ys: list):\n    return 3 in ys",
        "def f(xs, ys: list):\n    for x in xs:\n        if x in ys:\n            ys.append(x)",
        "def f(xs, ys: list):\n    for x in xs:\n        if x in ys:\n            g(ys)",
        "def f(xs, ys: list):\n    for x in xs:\n        if x in ys:\n            ys[0] = x",
        "def f(xs, ys: list):\n    for x in xs:\n        if x in ys:\n            del ys[0]",
        "def f(xs, ys: list):\n    for x in xs:\n        ys = ys if x in ys else [x]",
        "def f(xs):\n    if xs:\n        ys = [1]\n    for x in xs:\n        g(x in ys)",
        "def f(xs, ys: list):\n    def g():\n        ys.append(1)\n    for x in xs:\n        h(x in ys, g())",
        "def f(xs, ys: list):\n    for x in xs:\n        h(x in ys, locals())",
        "def f(xs, ys: list):\n    for x in xs:\n        ys += [x in ys]",
        "def f(xs, ys: list):\n    for x in xs:\n        for ys in x:\n            h(1 in ys)",
        "async def f(xs, ys: list):\n    for x in xs:\n        h(x in ys)",
        "def f(xs):\n    ys = []\n    add = ys.append\n    for x in xs:\n        if x not in ys:\n            add(x)",
        "def f(xs):\n    ys = [1]\n    zs = ys\n    for x in xs:\n        if x not in ys:\n            zs.append(x)",
        "def f(xs, o):\n    ys = [1]\n    o.ys = ys\n    for x in xs:\n        g(x in ys)",
        "def f(xs):\n    ys = [1]\n    for a in xs:\n        for x in a:\n            g(x in ys)\n        zs = ys\n        zs.append(a)",
        "def f(xs, ys: list):\n    for x in xs:\n        try:\n            g(x in ys)\n        except TypeError:\n            pass",
    ],
    "membership-copy": [
        "def f(x, ys):\n    list = tuple\n    return x in list(ys)",
        "from m import list\ndef f(x, ys):\n    return x in list(ys)",
        "def f(x, ys):\n    return x in sorted(ys, key=len)",
        "def f(x, ys):\n    return x in list(*ys)",
        "def f(x, ys):\n    return x in [list(ys)]",
        "def f(x, ys):\n    return x in list()",
    ],
    "seen-set": [
        "def f(xs):\n    seen = []\n    for x in xs:\n        if x not in seen:\n            seen.append(x)\n            g(seen)",
        "def f(xs):\n    seen = []\n    for x in xs:\n        if x not in seen:\n            seen.append(g(x))",
        "def f(xs):\n    seen = []\n    for x in xs:\n        if x not in seen:\n            seen.append(x)\n        else:\n            seen.remove(x)",
        "def f(xs):\n    seen = []\n    for x in xs:\n        if x not in seen: seen.append(x)",
        "def f(xs):\n    seen = []\n    for x in xs:\n        if x not in seen:\n            y = seen.append(x)",
        "def f(xs, seen):\n    for x in xs:\n        if x not in seen:\n            seen.append(x)",
        "def f(xs):\n    seen = []\n    also = seen\n    for x in xs:\n        if x not in seen:\n            seen.append(x)",
        "def f(xs):\n    global seen\n    seen = []\n    for x in xs:\n        if x not in seen:\n            seen.append(x)",
        "def f(xs):\n    seen = []\n    for x in xs:\n        if x not in seen:\n            seen.append(x)\n        h(lambda: seen)",
        "def f(xs):\n    seen = []\n    for x in xs:\n        if x not in seen:\n            seen.append(x)\n        if len(seen) > 3:\n            seen = []",
        "def f(xs):\n    seen = []\n    for x in xs:\n        seen.append(x)",
        "def f(xs):\n    seen = []\n    for x in xs:\n        if x not in seen:\n            seen.append(x)\n        seen[0] = x",
        "def f(xs):\n    seen, odd = set(), []\n    for x in xs:\n        try:\n            seen.add(x)\n        except TypeError:\n            if x not in odd:\n                odd.append(x)",
        "def f(xs):\n    seen = set()\n    for x in xs:\n        if x not in seen:\n            seen.append(x)",
    ],
    "list-append": [
        "def f(xs, out):\n    for x in xs:\n        out = out + [x]\n    return out",
        "def f(xs):\n    out = xs\n    for x in xs:\n        out = out + [x]\n    return out",
        "def f(xs):\n    out = []\n    for x in xs:\n        out = out + [x]\n        g(out)",
        "def f(xs):\n    out = []\n    for x in xs:\n        old = out\n        out = out + [x]",
        "def f(xs):\n    out = []\n    for x in xs:\n        out = out + [out]",
        "def f(xs):\n    out = []\n    for x in xs:\n        out = [x] + out",
        "def f(xs):\n    out = []\n    for x in xs:\n        for y in out:\n            out = out + [y]",
        "def f(xs):\n    out = ()\n    for x in xs:\n        out = out + (x,)",
        "def f(xs):\n    out = []\n    for x in xs:\n        out = out + x",
        "def f(xs):\n    try:\n        out = []\n        for x in xs:\n            out = out + [x]\n    except E:\n        pass",
        "def f(xs):\n    out = []\n    for x in xs:\n        yield out\n        out = out + [x]",
    ],
    "append-reverse": [
        "def f(xs):\n    out = []\n    for x in xs:\n        out.insert(0, x)\n        g(out)",
        "def f(xs):\n    out = []\n    for x in xs:\n        out.insert(0, x)\n        if len(out) > 3:\n            return out",
        "def f(xs):\n    out = [1]\n    for x in xs:\n        out.insert(0, x)",
        "def f(xs):\n    out = []\n    for x in xs:\n        out.insert(1, x)",
        "def f(xs):\n    out = []\n    for x in xs:\n        out.insert(0, len(out))",
        "def f(xs):\n    out = []\n    try:\n        for x in xs:\n            out.insert(0, 1 / x)\n    except Z:\n        return out",
        "def f(xs, out):\n    for x in xs:\n        out.insert(0, x)",
        "def f(xs):\n    out = []\n    for x in xs:\n        out.insert(0, x)\n        out.append(x)",
    ],
    "string-join": [
        "def f(xs):\n    out = ''\n    for x in xs:\n        out += x\n    return out",
        "def f(xs):\n    out = ''\n    for x in xs:\n        out += str(x) + out[:1]\n    return out",
        "def f(xs):\n    out = ''\n    for x in xs:\n        out += str(x)\n        if len(out) > 3:\n            break",
        "def f(xs):\n    out = b''\n    for x in xs:\n        out += str(x)",
        "def f(xs):\n    out = ''\n    for x in xs:\n        out -= str(x)",
        "def f(xs):\n    out = ''\n    for x in xs:\n        out += str(x)\n        yield out",
    ],
    "deque-queue": [
        "def f(xs):\n    q = [1]\n    while q:\n        x = q.pop(0)\n        q[1:] = [x]",
        "def f(xs):\n    q = [1]\n    while q:\n        x = q.pop(0)\n        g(q)",
        "def f(xs):\n    q = [1]\n    while q:\n        x = q.pop(0)\n        q.sort()",
        "def f(xs):\n    q = [1]\n    while q:\n        x = q.pop(0) + q[2]",
        "def f(q):\n    while q:\n        x = q.pop(0)",
        "def f(xs):\n    q = xs\n    while q:\n        x = q.pop(0)",
        "def f(xs):\n    q = [1]\n    return q.pop(0)",
        "def f(xs):\n    q = [1]\n    while q:\n        x = q.pop(0)\n        q = [x]",
        "def f(xs):\n    q = [1]\n    while q:\n        x = q.pop(0)\n    return q",
        "def f(xs):\n    q = [1]\n    while q:\n        x = q.pop(0)\n        for y in q:\n            g(y)",
        "def deque(): pass\ndef f(xs):\n    q = [1]\n    while q:\n        x = q.pop(0)",
        "def g() -> list: ...\ndef f(xs):\n    q = g()\n    while q:\n        x = q.pop(0)",
    ],
    "early-break": [
        "def f(xs):\n    y = 0\n    for x in xs:\n        if x:\n            y = x\n    return y",
        "def f(xs):\n    y = False\n    for x in xs:\n        if g(x):\n            y = True\n    return y",
        "def f(xs):\n    y = False\n    for x in xs:\n        if x and not y:\n            y = True\n    return y",
        "def f(xs):\n    y = False\n    for x in xs:\n        if x:\n            y = True\n        else:\n            y = False\n    return y",
        "def f(xs):\n    y = False\n    for x in xs:\n        if x:\n            y = True\n    return y, x",
        "def f(xs):\n    y = False\n    for x in xs:\n        if x:\n            y = True\n    else:\n        y = None\n    return y",
        "def f(xs):\n    y = False\n    for x in xs:\n        g(x)\n        if x:\n            y = True\n    return y",
        "def f(xs):\n    y = False\n    for x in xs:\n        if (z := x):\n            y = True\n    return y, z",
        "def f(o, xs):\n    for x in xs:\n        if x:\n            o.y = True",
    ],
    "any-early": [
        "def f(xs):\n    return len([x for x in xs if g(x)]) > 0",
        "def f(xs):\n    return len([g(x) for x in xs]) > 0",
        "def f(xs):\n    return len([x for x in xs if x]) > 1",
        "def f(xs):\n    return len([x for x in xs if x]) < 0",
        "def f(xs):\n    any = 3\n    return len([x for x in xs if x]) > 0",
    ],
    "flat-copy": [
        "import copy\nD = {'a': []}\ndef f():\n    return copy.deepcopy(D)",
        "import copy\nD = {'a': 1}\nD['b'] = []\ndef f():\n    return copy.deepcopy(D)",
        "import copy\nD = {'a': 1}\nD.update(x)\ndef f():\n    return copy.deepcopy(D)",
        "import copy\nD = {'a': 1}\ng(D)\ndef f():\n    return copy.deepcopy(D)",
        "import copy\nD = {'a': 1, **x}\ndef f():\n    return copy.deepcopy(D)",
        "import copy\ndef f(d):\n    return copy.deepcopy(d)",
        "import copy\nD = {'a': 1}\ndef f():\n    return copy.deepcopy(D, {})",
        "import other as copy\nD = {'a': 1}\ndef f():\n    return copy.deepcopy(D)",
        "import copy\nD = (1, 2)\ndef f():\n    return copy.deepcopy(D)",
    ],
    "loop-copy": [
        "def f(xs: list):\n    for x in xs[:]:\n        xs.remove(x)",
        "def f(xs: list):\n    for x in xs[:]:\n        g(xs)",
        "def f(xs):\n    for x in xs.copy():\n        g(x)",
        "def f(xs: list):\n    for x in xs[1:]:\n        g(x)",
        "def f(xs: list):\n    for x in xs[:]:\n        del xs[0]",
        "def f(xs: list):\n    def g():\n        xs.clear()\n    for x in xs[:]:\n        g()",
    ],
    "hoist-call": [
        "def f(xs, ys):\n    return len(xs) + sum(ys)",
        "def f(xs, ys):\n    for y in ys:\n        xs.append(len(xs))",
        "def f(xs, ys):\n    for y in ys:\n        g(xs, len(xs))",
        "def f(xs, ys):\n    for y in ys:\n        g(sorted(xs))",
        "def f(xs, ys):\n    for y in ys:\n        z = sorted(xs)\n        z.pop()",
        "def f(xs, ys):\n    for xs in ys:\n        g(len(xs))",
        "def f(xs, ys):\n    for y in ys:\n        xs = xs[len(xs) - 1:]",
        "def f(xs, ys):\n    for y in ys:\n        xs[y] = max(xs)",
        "def f(ys):\n    for y in ys:\n        g(y.lower(), len(y))",
        "def f(ys):\n    w = deque()\n    for y in map(w.append, ys):\n        yield tuple(w)",
        "def f(ys):\n    w = [1]\n    add = w.append\n    for y in ys:\n        g(add(y), len(w))",
        "def f(xs, ys):\n    sum = len\n    for y in ys:\n        g(sum(xs))",
        "def f(ys):\n    for y in ys:\n        g(len(XS))",
        "def f(xs, ys):\n    for y in ys:\n        g(lambda: len(xs))",
        "def f(xs, ys):\n    for y in ys:\n        g(max(xs, key=y))",
        "def f(o, ys):\n    for y in ys:\n        o.a = y\n        g(o.a.lower())",
        "def f(o, ys):\n    for y in ys:\n        o.change()\n        g(len(o.a))",
        "def f(o, ys):\n    for y in ys:\n        o.a.append(len(o.a))",
        "def f(d, ys):\n    for y in ys:\n        d[y] = sum(d.values())",
        "def f(d, ys):\n    for y in ys:\n        d.pop(y, sum(d.values()))",
        "def f(xs, ys):\n    for y in ys:\n        g(locals(), len(xs))",
        "def f(ys):\n    if ys:\n        xs = [1]\n    for y in ys:\n        g(y and len(xs))",
    ],
    "count-once": [
        "def f(xs):\n    return [xs.count(x) for x in xs]",
        "def f(xs: str):\n    return [xs.count(x) for x in xs]",
        "def f(xs: list, ys):\n    for y in ys:\n        xs.append(xs.count(y))",
        "def f(xs: list, y):\n    return xs.count(y)",
        "Counter = 3\ndef f(xs: list):\n    return [xs.count(x) for x in xs]",
    ],
    "hoist-regex": [
        "import re\ndef f(p, s):\n    return re.match(p, s)",
        "import re\ndef f(s, fl):\n    return re.match('a', s, fl)",
        "import re\ndef f(s):\n    try:\n        return re.match('a', s)\n    except re.error:\n        return None",
        "import re\ndef f(s):\n    return re.match('(', s)",
        "import re\ndef f(s, re):\n    return re.match('a', s)",
        "import regex as re\ndef f(s):\n    return re.match('a', s)",
        "def f(s):\n    import re\n    return re.match('a', s)",
        "import re\ndef f(s):\n    return re.escape('a')",
        "import re\ndef f(s):\n    return re.match(f'a{s}', s)",
        "import re\ndef f(s):\n    return re.match('[[]', s)",
        "import re\ndef f(a):\n    return re.match('a', *a)",
        "import re\ndef f(s):\n    return re.match('a', s, re.DEBUG)",
    ],
    "setdefault-append": [
        "def f(ps, d):\n    for k, v in ps:\n        if k not in d:\n            d[k] = []\n        d[k].append(v)",
        "def f(ps):\n    d = {}\n    for k, v in ps:\n        if k not in d:\n            d[k] = []\n        d[v].append(v)",
        "def f(ps):\n    d = {}\n    for k, v in ps:\n        if k not in d:\n            d[k] = [0]\n        d[k].append(v)",
        "def f(ps):\n    d = {}\n    for k, v in ps:\n        if k not in d:\n            d[k] = []\n        d[k].append(g(v))",
        "def f(ps):\n    d = {}\n    for k, v in ps:\n        if k not in d:\n            d[k] = []\n        else:\n            h()\n        d[k].append(v)",
        "def f(ps):\n    d = {}\n    for k, v in ps:\n        # why\n        if k not in d:\n            d[k] = []\n        d[k].append(v)",
    ],
    "cache-result": [
        "def f(x: list):\n    return len(x)",
        "def f(x):\n    return len(x)",
        "def f(x: Iterable[str]):\n    return len(x)",
        "def f(x: str) -> list[str]:\n    return g(x)\ndef g(x): ...",
        "def f(x: str):\n    g(x)\n    return 3\ndef g(x): ...",
        "def f(x: str):\n    g(x)\ndef g(x): ...",
        "def f(x: str):\n    print(x)\n    return x",
        "def f(x: str):\n    x.y = 1\n    return 2",
        "def f(x: str):\n    x[0] = 1\n    return 2",
        "def f(x: str):\n    return [x]",
        "def f(x: str):\n    y = {}\n    return y",
        "def f(x: str):\n    return x.split()",
        "def f(x: str):\n    yield x",
        "def f():\n    return 3",
        "def f(*x):\n    return 3",
        "def f(x: str):\n    global y\n    y = x",
        "def f(x: str):\n    return random.random() + x",
        "def f(x: str):\n    return now() + x",
        "def f(x: str):\n    raise E(x)",
        "@deco\ndef f(x: str):\n    return x",
        "def f(x: str):\n    return open(x)",
        "async def f(x: str):\n    return x",
    ],
}

METHOD_NEAR_MISSES = [
    "for x in xs:\n            self.a = x + self.a",
    "for x in xs:\n            g(self, self.a, self.a)",
    "for x in xs:\n            self.change()\n            g(self.a, self.a)",
    "for x in xs:\n            g(self.a)",
    "for x in xs:\n            g(self.a, self.a)\n        self.a = 3",
    "g(self.a, self.a)",
    "for self in xs:\n            g(self.a, self.a)",
]


@pytest.mark.parametrize(
    ("name", "code"), [(name, code) for name, codes in NEAR_MISSES.items() for code in codes]
)
def test_refused(name: str, code: str) -> None:
    assert rewrites(name, code + "\n") == []


@pytest.mark.parametrize("body", METHOD_NEAR_MISSES)
def test_attribute_not_hoisted(body: str) -> None:
    code = f"class C:\n    def f(self, xs):\n        {body}\n"
    assert rewrites("hoist-attribute", code, "C.f") == []


def test_every_transformation_has_near_misses() -> None:
    named = {*NEAR_MISSES, "hoist-attribute"}
    assert named == {t.name for t in TRANSFORMATIONS}


def test_what_others_may_do_is_named() -> None:
    code = "def f(xs, ys: list[str]):\n    for x in xs:\n        {}\n"
    ((loud, _),) = rewrites("local-set", code.format("g(str(x) in ys)"))
    ((quiet, _),) = rewrites("local-set", code.format("n = str(x) in ys"))
    assert loud.assumes == "nothing that the loop calls changes ys"
    assert not quiet.assumes


def test_comments_and_blank_lines_stay() -> None:
    ((_, text),) = rewrites(
        "local-set",
        """
        def f(xs, ys: list[str]):
            n = 0  # counts

            # the loop
            for x in xs:
                n += x in ys  # why
            return n
        """,
    )
    assert "    n = 0  # counts\n\n    # the loop\n    ys_set = set(ys)\n    for x in xs:\n" in text
    assert "        n += x in ys_set  # why\n" in text


def test_a_new_name_never_hides_another() -> None:
    ((_, text),) = rewrites(
        "local-set",
        """
        ys_set = 1

        def f(xs, ys: list[str]):
            return [x for x in xs if x in ys], ys_set
        """,
    )
    assert "ys_set_2 = set(ys)" in text
    assert "if x in ys_set_2], ys_set" in text


def test_imports_go_where_imports_stand() -> None:
    code = '''
    """Doc."""

    from __future__ import annotations

    import sys

    from mine import thing

    X = 1

    def f(start):
        queue = [start]
        while queue:
            thing(queue.pop(0), sys)
    '''
    ((_, text),) = rewrites("deque-queue", code.replace("\n    ", "\n").lstrip())
    assert "import sys\nfrom collections import deque\n\nfrom mine import thing\n" in text


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ('"""Doc."""\n', '"""Doc."""\n\nfrom collections import deque\n\n'),
        ("", "from collections import deque\n\n"),
        ("from mine import x\n", "from collections import deque\n\nfrom mine import x\n"),
        ("from collections import deque\n", "from collections import deque\ndef"),
        ("import collections\n", "import collections\ndef"),
    ],
)
def test_import_of_deque(head: str, expected: str) -> None:
    body = "def f(s):\n    q = [s]\n    while q:\n        q.pop(0)\n"
    ((_, text),) = rewrites("deque-queue", head + body)
    assert text.startswith(expected), text
    assert (
        "q = collections.deque([s])" if head.startswith("import c") else "q = deque([s])"
    ) in text
