"""Every transformation, on functions where it applies: the rewrite gives what the original gave."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ouroboros.proposers.codemod.catalogue import TRANSFORMATIONS

from .conftest import outcome, rewrites

WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", "ab", "", "Ä", "x1"]) | st.text(max_size=4))
NUMBERS = st.lists(st.integers(-9, 9))
MIXED = st.lists(st.integers(-3, 3) | st.text("ab", max_size=1) | st.none() | st.booleans())


@dataclass(frozen=True)
class Case:
    name: str
    code: str
    arguments: st.SearchStrategy[tuple[Any, ...]]
    assumes: bool = False


def case(name: str, code: str, *arguments: st.SearchStrategy[Any], assumes: bool = False) -> Case:
    return Case(name, code, st.tuples(*arguments), assumes)


CASES = [
    case(
        "literal-set",
        """
        def f(word: str):
            return word in ["a", "b", "c", "d", "ab"], word.lower() not in ("a", "b", "x", "ä")
        """,
        st.sampled_from(["a", "Ä", "x"]) | st.text(max_size=3),
    ),
    case(
        "literal-set",
        """
        def f(value):
            return value in [1, "b", None, 2.5, -3]
        """,
        st.integers(-4, 4) | st.none() | st.text("ab", max_size=1) | st.floats(),
        assumes=True,
    ),
    case(
        "constant-set",
        """
        NAMES = ["a", "b", "c", "d"]

        def f(words):
            return [w for w in words if w.lower() not in NAMES] + [len(NAMES)]
        """,
        WORDS,
        assumes=True,
    ),
    case(
        "local-set",
        """
        def f(words: list[str], stop: list[str]):
            found = []
            for word in words:
                if word not in stop:
                    found.append(word)
            return found
        """,
        WORDS,
        WORDS,
    ),
    case(
        "local-set",
        """
        def f(text: str, words):
            known = text.split(",")
            return [[w.upper() for w in words if w.strip() in known] for _ in range(2)]
        """,
        st.text("ab,", max_size=9),
        WORDS,
    ),
    case(
        "membership-copy",
        """
        def f(table: dict, key):
            return key in list(table.keys()), key in sorted(table), key in tuple(set(table))
        """,
        st.dictionaries(st.text("ab", max_size=2), st.none()),
        st.text("ab", max_size=2),
        assumes=True,
    ),
    case(
        "seen-set",
        """
        def f(items):
            seen = []
            for item in items:
                if item in seen:
                    continue
                seen.append(item)
            return seen
        """,
        MIXED,
        assumes=True,
    ),
    case(
        "seen-set",
        """
        def f(words: list[str], n: int):
            seen = ["a", "b"]
            for word in words:
                low = word.lower()
                if low not in seen and len(seen) < n:
                    # keep it
                    seen.append(low)
            seen.sort()
            return seen
        """,
        WORDS,
        st.integers(0, 9),
    ),
    case(
        "list-append",
        """
        def f(items):
            found = []
            total = 0
            for item in items:
                if item in found:
                    found = found + [item, total]
                else:
                    found = found + [-item]
                total += len(found)
            return found, total
        """,
        NUMBERS,
    ),
    case(
        "list-append",
        """
        def f(rows):
            result = []
            for row in rows:
                line = []
                for cell in row:
                    line = line + [cell * 2]
                result.append(line)
            return result
        """,
        st.lists(NUMBERS),
    ),
    case(
        "append-reverse",
        """
        def f(items):
            out = []
            for item in items:
                if item > 0:
                    out.insert(0, item // (item - 3))
            return out, len(out)
        """,
        NUMBERS,
    ),
    case(
        "append-reverse",
        """
        def f(n: int):
            digits = []
            while n > 0:
                digits.insert(0, n % 10)
                n //= 10
                if n == 77:
                    break
            digits.insert(0, 0)
            return digits
        """,
        st.integers(-5, 10**6),
    ),
    case(
        "string-join",
        """
        def f(items):
            text = "start:"
            for item in items:
                text += f"{item};"
                if item == 3:
                    text += "three"
            return text.upper()
        """,
        MIXED,
    ),
    case(
        "deque-queue",
        """
        def f(graph, start):
            order = []
            queue = [start]
            while queue:
                node = queue.pop(0)
                order.append((node, len(queue)))
                for other in graph.get(node, ()):
                    if other not in queue and len(order) < 20:
                        queue.append(other)
                if len(order) == 7:
                    queue.insert(0, start)
            return order
        """,
        st.dictionaries(st.integers(0, 4), st.lists(st.integers(0, 5), max_size=4)),
        st.integers(0, 5),
    ),
    case(
        "deque-queue",
        """
        def f(items: list, n: int):
            rest = list(items)
            taken = []
            for _ in range(n):
                taken.append(rest.pop(0) + rest[-1])
            return taken
        """,
        NUMBERS,
        st.integers(0, 6),
    ),
    case(
        "early-break",
        """
        def f(words: list[str], n: int):
            found = False
            for word in words:
                if len(word) > n and word.startswith("a"):
                    found = True
            return found
        """,
        WORDS,
        st.integers(0, 3),
        assumes=True,
    ),
    case(
        "any-early",
        """
        def f(xs, n):
            return len([x for x in xs if x > n]) > 0, len([x for x in xs if x == n]) == 0
        """,
        NUMBERS,
        st.integers(-9, 9),
        assumes=True,
    ),
    case(
        "flat-copy",
        """
        import copy

        EMPTY = {"a": 0, "b": None, "c": -1.5, "d": "x"}
        ROW = [1, 2, 3]

        def f(n):
            one, row = copy.deepcopy(EMPTY), copy.deepcopy(ROW)
            one["a"] = n
            row.append(n)
            return one, row, list(EMPTY.items()), ROW[0], len(ROW)
        """,
        st.integers(),
        assumes=True,
    ),
    case(
        "loop-copy",
        """
        def f(items: list):
            total = []
            for item in items[:]:
                total.append(item in items)
            for item in items.copy():
                total.append(item)
            return total
        """,
        MIXED,
    ),
    case(
        "hoist-call",
        """
        def f(counts: dict):
            return {key: value / sum(counts.values()) for key, value in counts.items()}
        """,
        st.dictionaries(st.text("ab", max_size=2), st.integers(1, 9), min_size=1),
        assumes=True,
    ),
    case(
        "hoist-call",
        """
        def f(xs: list[int], ys: list[int]):
            hits = 0
            for y in ys:
                for x in sorted(xs):
                    hits += x * y + len(xs)
                if y in set(xs) and ys:
                    hits += max(xs) - sorted(xs)[0]
            return hits
        """,
        st.lists(st.integers(-5, 5), min_size=1),
        NUMBERS,
        assumes=True,
    ),
    case(
        "hoist-call",
        """
        def f(name: str, words: list[str]):
            out = []
            i = 0
            while i < len(words):
                if words[i] == name.lower() or words[i] in name.split():
                    out.append((i, name.lower()))
                i += 1
            return out
        """,
        st.text("aB ", max_size=5),
        WORDS,
    ),
    case(
        "hoist-attribute",
        """
        class C:
            def __init__(self, low, high):
                self.low, self.high = low, high

            def inside(self, xs):
                return [x for x in xs if self.low <= x and x - self.low < self.high]

        def f(xs, low, high):
            return C(low, high).inside(xs)
        """,
        NUMBERS,
        st.integers(-3, 3),
        st.integers(0, 5),
        assumes=True,
    ),
    case(
        "count-once",
        """
        def f(words: list[str]):
            table = {}
            for word in set(words):
                table[word] = words.count(word) + words.count("a")
            return table, [words.count(w) for w in words]
        """,
        WORDS,
    ),
    case(
        "hoist-regex",
        r"""
        import re

        def f(lines: list[str]):
            out = []
            for line in lines:
                m = re.match(r"(\\w)(\\d*)", line)
                out.append(m and m.groups())
                out.append(re.sub(r"[ab]+", lambda m: m[0].upper(), line, count=1))
                out.append(re.split("A", line, maxsplit=1, flags=re.I | re.M))
                out.append(re.compile("x.", re.DOTALL).findall(line))
            return out
        """,
        WORDS,
    ),
    case(
        "setdefault-append",
        """
        def f(pairs):
            groups = {}
            for key, value in pairs:
                if key not in groups:
                    groups[key] = []
                groups[key].append(value)
            return groups, list(groups)
        """,
        st.lists(st.tuples(st.integers(0, 3), st.integers())),
    ),
    case(
        "cache-result",
        """
        def f(n: int, word: str):
            text = word.upper() * n
            return text, len(text) / n
        """,
        st.integers(-1, 4),
        st.text("ab", max_size=3),
        assumes=True,
    ),
]

METHODS = {"hoist-attribute": "C.inside"}


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_the_rewrite_does_the_same(case: Case) -> None:
    found = rewrites(case.name, case.code, METHODS.get(case.name, "f"))
    assert found, "the transformation must apply"
    assert any(site.assumes for site, _ in found) == case.assumes

    @settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
    @given(case.arguments)
    def same(arguments: tuple[Any, ...]) -> None:
        before = outcome(case.code, "f", arguments)
        for _, text in found:
            assert outcome(text, "f", arguments) == before

    same()


def test_every_transformation_has_a_case() -> None:
    assert {c.name for c in CASES} == {t.name for t in TRANSFORMATIONS}


def test_names_and_priors() -> None:
    names = [t.name for t in TRANSFORMATIONS]
    assert len(set(names)) == len(names) >= 10
    assert all(0 < t.prior < 1 for t in TRANSFORMATIONS)
    assert all((type(t).__doc__ or "").count("Preconditions") == 1 for t in TRANSFORMATIONS)
