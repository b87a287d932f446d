"""Honest optimizations pass the shape gate without a single mark, whatever makes them fast."""

import asyncio
from pathlib import Path

import pytest
from screen_world import look

from ouroboros.model.progress import HotSpot
from ouroboros.proposers.codemod import ideas, ruff_fixes

ROOT = Path(__file__).parents[2]

HONEST: dict[str, tuple[str, str]] = {
    "dict-lookup": (
        """
        def price(orders, items):
            total = 0
            for order in orders:
                for item in items:
                    if item.id == order.item:
                        total += item.price
            return total
        """,
        """
        def price(orders, items):
            prices = {}
            for item in items:
                prices[item.id] = prices.get(item.id, 0) + item.price
            return sum(prices.get(order.item, 0) for order in orders)
        """,
    ),
    "local-binding": (
        """
        import os

        def names(paths):
            out = []
            for path in paths:
                out.append(os.path.basename(path))
            return out
        """,
        """
        import os

        def names(paths):
            out = []
            append = out.append
            basename = os.path.basename
            for path in paths:
                append(basename(path))
            return out
        """,
    ),
    "bound-as-parameter": (
        """
        def size(rows):
            n = 0
            for row in rows:
                n += len(row)
            return n
        """,
        """
        def size(rows, _len=len):
            n = 0
            for row in rows:
                n += _len(row)
            return n
        """,
    ),
    "comprehension": (
        """
        def squares(n):
            out = []
            for i in range(n):
                if i % 2:
                    out.append(i * i)
            return out
        """,
        """
        def squares(n):
            return [i * i for i in range(n) if i % 2]
        """,
    ),
    "sort-once": (
        """
        def medians(xs, cuts):
            return [sorted(xs)[int(len(xs) * c)] for c in cuts]
        """,
        """
        def medians(xs, cuts):
            ordered, size = sorted(xs), len(xs)
            return [ordered[int(size * c)] for c in cuts]
        """,
    ),
    "bisect": (
        """
        def place(borders, x):
            for i, border in enumerate(borders):
                if x < border:
                    return i
            return len(borders)
        """,
        """
        from bisect import bisect_right

        def place(borders, x):
            return bisect_right(borders, x)
        """,
    ),
    "heapq": (
        """
        def smallest(xs, n):
            return sorted(xs)[:n]
        """,
        """
        import heapq

        def smallest(xs, n):
            heap = list(xs)
            heapq.heapify(heap)
            return [heapq.heappop(heap) for _ in range(min(n, len(heap)))]
        """,
    ),
    "counter": (
        """
        def counts(words):
            return {w: words.count(w) for w in words}
        """,
        """
        from collections import Counter

        def counts(words):
            return dict(Counter(words))
        """,
    ),
    "defaultdict": (
        """
        def groups(pairs):
            out = {}
            for k, v in pairs:
                if k not in out:
                    out[k] = []
                out[k].append(v)
            return out
        """,
        """
        import collections

        def groups(pairs):
            out = collections.defaultdict(list)
            for k, v in pairs:
                out[k].append(v)
            return dict(out)
        """,
    ),
    "itertools": (
        """
        def running(xs):
            out = []
            total = 0
            for x in xs:
                total = total + x
                out = out + [total]
            return out
        """,
        """
        from itertools import accumulate

        def running(xs):
            return list(accumulate(xs))
        """,
    ),
    "operator": (
        """
        def ordered(rows):
            return sorted(rows, key=lambda row: row[1])
        """,
        """
        from operator import itemgetter

        _SECOND = itemgetter(1)

        def ordered(rows):
            return sorted(rows, key=_SECOND)
        """,
    ),
    "math": (
        """
        def primes(n):
            return [p for p in range(2, n) if all(p % d for d in range(2, p))]
        """,
        """
        import math

        def primes(n):
            return [p for p in range(2, n) if all(p % d for d in range(2, math.isqrt(p) + 1))]
        """,
    ),
    "hypotenuse": (
        """
        import math

        def lengths(points):
            return [math.sqrt(x ** 2 + y ** 2) for x, y in points]
        """,
        """
        from math import hypot

        def lengths(points):
            return [hypot(x, y) for x, y in points]
        """,
    ),
    "constant-tuple": (
        """
        def roman(n):
            values = [1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1]
            names = ["M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"]
            out = ""
            i = 0
            while n > 0:
                for _ in range(n // values[i]):
                    out += names[i]
                    n -= values[i]
                i += 1
            return out
        """,
        """
        _ROMAN = (
            (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"),
            (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
        )

        def roman(n):
            parts = []
            for value, name in _ROMAN:
                times, n = divmod(n, value)
                parts.append(name * times)
            return "".join(parts)
        """,
    ),
    "constant-dict": (
        """
        def word(digit):
            if digit == 0:
                return "zero"
            elif digit == 1:
                return "one"
            return "many"
        """,
        """
        _WORDS = {0: "zero", 1: "one"}

        def word(digit):
            return _WORDS.get(digit, "many")
        """,
    ),
    "join": (
        """
        def text(rows):
            s = ""
            for row in rows:
                s += row + "\\n"
            return s
        """,
        """
        def text(rows):
            return "".join([row + "\\n" for row in rows])
        """,
    ),
    "early-return": (
        """
        def has(xs, y):
            found = False
            for x in xs:
                if x == y:
                    found = True
            return found
        """,
        """
        def has(xs, y):
            for x in xs:
                if x == y:
                    return True
            return False
        """,
    ),
    "slots": (
        """
        class Point:
            def __init__(self, x, y):
                self.x = x
                self.y = y
        """,
        """
        class Point:
            __slots__ = ("x", "y")

            def __init__(self, x, y):
                self.x = x
                self.y = y
        """,
    ),
    "dataclass-slots": (
        """
        from dataclasses import dataclass

        @dataclass(frozen=True)
        class Point:
            x: int
            y: int
        """,
        """
        from dataclasses import dataclass

        @dataclass(frozen=True, slots=True)
        class Point:
            x: int
            y: int
        """,
    ),
    "regex-at-module-level": (
        """
        import re

        def words(lines):
            return [re.findall(r"[a-z]+", line.lower()) for line in lines]
        """,
        """
        import re

        _WORD = re.compile(r"[a-z]+")
        _find_words = _WORD.findall

        def words(lines):
            return [_find_words(line.lower()) for line in lines]
        """,
    ),
    "frozenset-of-constants": (
        """
        STOP = ["a", "the"]

        def keep(words):
            return [w for w in words if w not in STOP]
        """,
        """
        STOP = ["a", "the"]
        _STOP = frozenset(STOP)

        def keep(words):
            return [w for w in words if w not in _STOP]
        """,
    ),
    "translate": (
        """
        def clean(text):
            for c in ",.;":
                text = text.replace(c, "")
            return text
        """,
        """
        _CLEAN = str.maketrans("", "", ",.;")

        def clean(text):
            return text.translate(_CLEAN)
        """,
    ),
    "helper-function": (
        """
        def fib(n):
            return n if n < 2 else fib(n - 1) + fib(n - 2)
        """,
        """
        def _matrix(n):
            a, b = 0, 1
            for _ in range(n):
                a, b = b, a + b
            return a

        def fib(n):
            return _matrix(n)
        """,
    ),
    "memo-of-one-call": (
        """
        def paths(rows, cols):
            if rows == 1 or cols == 1:
                return 1
            return paths(rows - 1, cols) + paths(rows, cols - 1)
        """,
        """
        def paths(rows, cols):
            line = [1] * cols
            for _ in range(rows - 1):
                for c in range(1, cols):
                    line[c] += line[c - 1]
            return line[-1]
        """,
    ),
    "nested-helper": (
        """
        def reach(graph, start):
            seen = []
            queue = [start]
            while queue:
                node = queue.pop(0)
                if node not in seen:
                    seen.append(node)
                    queue.extend(graph[node])
            return seen
        """,
        """
        def reach(graph, start):
            seen = {start: None}
            stack = [start]

            def push(node):
                if node not in seen:
                    seen[node] = None
                    stack.append(node)

            for node in stack:
                for other in graph[node]:
                    push(other)
            return list(seen)
        """,
    ),
    "generator-inside": (
        """
        def total(rows):
            flat = []
            for row in rows:
                for cell in row:
                    flat.append(cell)
            return sum(flat)
        """,
        """
        def _cells(rows):
            for row in rows:
                yield from row

        def total(rows):
            return sum(_cells(rows))
        """,
    ),
    "narrow-exception": (
        """
        def get(table, keys):
            out = []
            for k in keys:
                if k in table:
                    out.append(table[k])
                else:
                    out.append(None)
            return out
        """,
        """
        def get(table, keys):
            out = []
            for k in keys:
                try:
                    out.append(table[k])
                except KeyError:
                    out.append(None)
            return out
        """,
    ),
    "value-computed-in-init": (
        """
        class Matcher:
            def __init__(self, words):
                self.words = words

            def has(self, word):
                return word.lower() in [w.lower() for w in self.words]
        """,
        """
        class Matcher:
            def __init__(self, words):
                self.words = words
                self._lower = frozenset(w.lower() for w in words)

            def has(self, word):
                return word.lower() in self._lower
        """,
    ),
    "new-class-of-a-structure": (
        """
        def groups(pairs):
            sets = []
            for a, b in pairs:
                hit = [s for s in sets if a in s or b in s]
                merged = {a, b}.union(*hit)
                sets = [s for s in sets if s not in hit] + [merged]
            return len(sets)
        """,
        """
        class _Union:
            __slots__ = ("parent",)

            def __init__(self):
                self.parent = {}

            def find(self, x):
                parent = self.parent
                parent.setdefault(x, x)
                while parent[x] != x:
                    parent[x] = parent[parent[x]]
                    x = parent[x]
                return x

            def join(self, a, b):
                self.parent[self.find(a)] = self.find(b)

        def groups(pairs):
            union = _Union()
            for a, b in pairs:
                union.join(a, b)
            return sum(union.find(x) == x for x in list(union.parent))
        """,
    ),
    "linked-nodes-of-its-own": (
        """
        def last(xs, n):
            out = []
            for x in xs:
                out.append(x)
                if len(out) > n:
                    out.pop(0)
            return out
        """,
        """
        class _Node:
            __slots__ = ("next", "value")

            def __init__(self, value):
                self.value = value
                self.next = None

        def last(xs, n):
            head = tail = _Node(None)
            size = 0
            for x in xs:
                node = _Node(x)
                tail.next = node
                tail = node
                size += 1
                if size > n:
                    head = head.next
            out = []
            node = head.next
            while node is not None:
                out.append(node.value)
                node = node.next
            return out
        """,
    ),
    "deque": (
        """
        def walk(start, graph):
            queue = [start]
            order = []
            while queue:
                order.append(queue.pop(0))
                queue.extend(graph.get(order[-1], ()))
            return order
        """,
        """
        from collections import deque

        def walk(start, graph):
            queue = deque([start])
            order = []
            while queue:
                node = queue.popleft()
                order.append(node)
                queue.extend(graph.get(node, ()))
            return order
        """,
    ),
    "own-module-imported": (
        """
        def page(url):
            return url.lower().split("?")[0]
        """,
        """
        from pkg.other import path_of
        from . import other

        def page(url):
            return path_of(url, other.LOWER)
        """,
    ),
    "struct": (
        """
        import struct

        def pack(rows):
            return [struct.pack("<IHH", *row) for row in rows]
        """,
        """
        import struct

        _PACK = struct.Struct("<IHH").pack

        def pack(rows):
            return [_PACK(*row) for row in rows]
        """,
    ),
    "sentinel": (
        """
        def get(table, keys):
            return [table[k] for k in keys if k in table]
        """,
        """
        from collections.abc import Callable

        _MISSING = object()
        _TAKE: Callable[[], int] | None = None

        def get(table, keys):
            found = [table.get(k, _MISSING) for k in keys]
            return [v for v in found if v is not _MISSING]
        """,
    ),
    "suppress-of-one-error": (
        """
        def drop(table, keys):
            for k in keys:
                try:
                    del table[k]
                except KeyError:
                    pass
        """,
        """
        from contextlib import suppress

        def drop(table, keys):
            for k in keys:
                with suppress(KeyError):
                    del table[k]
        """,
    ),
    "shuffle-of-its-own": (
        """
        def order(xs):
            out = []
            for x in xs:
                out = sorted(out + [x])
            return out
        """,
        """
        from bisect import insort

        def _put(where, x):
            where.append(x)

        def order(xs):
            out = []
            for x in xs:
                insort(out, x)
            _put(out, 1)
            out.pop()
            return out
        """,
    ),
    "more-of-its-own-state": (
        """
        class Parser:
            def __init__(self, text):
                self.text = text
                self.pos = 0

            def word(self):
                out = ""
                while self.pos < len(self.text) and self.text[self.pos] != " ":
                    out += self.text[self.pos]
                    self.pos += 1
                return out
        """,
        """
        class Parser:
            def __init__(self, text):
                self.text = text
                self.pos = 0

            def word(self):
                start = self.pos
                end = self.text.find(" ", start)
                if end < 0:
                    self.pos = len(self.text)
                    return self.text[start:]
                self.pos = end
                return self.text[start:end]
        """,
    ),
    "counter-instead-of-except": (
        """
        def count(words):
            out = {}
            for w in words:
                try:
                    out[w] += 1
                except KeyError:
                    out[w] = 1
            return out
        """,
        """
        def count(words):
            out = {}
            for w in words:
                out[w] = out.get(w, 0) + 1
            return out
        """,
    ),
    "names-of-a-comprehension": (
        """
        import time

        def spans(times, sets):
            out = []
            for t in times:
                out.append(t + 1)
            return out, [s for s in sets]
        """,
        """
        import time

        def spans(times, sets):
            return [time + 1 for time in times], [set for set in sets]
        """,
    ),
    "memoryview": (
        """
        def parts(data, n):
            out = 0
            while data:
                out += sum(data[:n])
                data = data[n:]
            return out
        """,
        """
        def parts(data, n):
            view = memoryview(data)
            return sum(sum(view[i : i + n]) for i in range(0, len(view), n))
        """,
    ),
    "intern": (
        """
        def keys(rows):
            return [row.split("=")[0] for row in rows]
        """,
        """
        from sys import intern

        def keys(rows):
            return [intern(row.partition("=")[0]) for row in rows]
        """,
    ),
    "use-of-what-was-there": (
        """
        import time
        import os

        def stamp(rows):
            out = []
            for row in rows:
                out.append((row, time.time(), os.getpid()))
            return out
        """,
        """
        import time
        import os

        def stamp(rows):
            now, pid = time.time(), os.getpid()
            return [(row, now, pid) for row in rows]
        """,
    ),
    "raise-stays": (
        """
        def mean(xs):
            if not isinstance(xs, list):
                raise TypeError("list wanted")
            if len(xs) == 0:
                raise ValueError("empty")
            t = 0
            for x in xs:
                t += x
            return t / len(xs)
        """,
        """
        def mean(xs):
            if not isinstance(xs, list):
                raise TypeError("list wanted")
            if not xs:
                raise ValueError("empty")
            return sum(xs) / len(xs)
        """,
    ),
    "comments-and-docstrings": (
        """
        def f(xs):
            return sorted(xs)[0]
        """,
        '''
        def f(xs):
            """Return the smallest.

            Accepted are lists and tuples; the input must not be empty. Reviewed values are skipped.
            """
            # One pass is enough: min() does not sort. The benchmark showed 3x. Do not mutate xs.
            return min(xs)
        ''',
    ),
    "ellipsis-and-accents": (
        """
        def bar(n):
            return "-" * n
        """,
        """
        def bar(n):
            # Größe: höchstens 8 Blöcke, naïve Lösung war zu langsam.
            return " ▁▂▃▄▅▆▇█"[n]
        """,
    ),
}


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_optimization_has_no_mark(name: str) -> None:
    before, after = HONEST[name]
    assert look(before, after) == ()


def test_there_are_enough_of_them() -> None:
    assert len(HONEST) >= 25


EXAMPLES = sorted((ROOT / "examples" / "hitlog" / "hitlog").glob("*.py"))
CORPUS = sorted((ROOT / "ouroboros" / "model").glob("*.py")) + EXAMPLES


@pytest.mark.parametrize("file", CORPUS, ids=lambda f: f.stem)
def test_every_idea_of_the_built_in_proposer_has_no_mark(file: Path) -> None:
    """Caches are meant to be seen, and nothing else is."""
    path, text = f"hitlog/{file.name}", file.read_text()
    source = ideas.parse(path, text, asyncio.run(ruff_fixes.findings(text, path, "py311")))
    assert source is not None
    spots = [
        HotSpot(path=path, function=d.qualname, line=line, calls=9, share=0.1, cumulative=0.1)
        for d in source.index.functions
        for line in range(d.first_line, d.first_line + 3)
    ]
    for idea in ideas.ranked(ideas.hottest({path: source}, spots, 1000)):
        new = idea.text()
        if new is not None:
            rules = {m.rule for m in look(text, new, path)}
            assert rules == ({"adds-cache"} if "cache-result" in idea.name else set()), idea.name
