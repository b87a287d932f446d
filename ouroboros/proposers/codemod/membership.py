"""Membership tests against sequences: a scan each time, where a set asks once.

What makes a set differ from a list is the hash: an unhashable value on the left is simply not in
a list, and a TypeError for a set. Where the value is not certainly hashable, the site says so.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar

import libcst as cst

from ouroboros.proposers.codemod.edits import Plan, expression, statement
from ouroboros.proposers.codemod.function import Function, Use
from ouroboros.proposers.codemod.loops import LeftAlone, Repeat, outermost, repeats
from ouroboros.proposers.codemod.sharing import changed_by_others
from ouroboros.proposers.codemod.transformation import Site
from ouroboros.proposers.codemod.values import (
    constants,
    hashable,
    list_of_hashables,
    name_is_list,
)

FEW = 4
"""Below this many elements a scan is as fast as a hash."""

NOT_PROVEN_HASHABLE = "every value tested for membership is hashable"


def waited_for(function: Function, nodes: Sequence[cst.CSTNode]) -> bool:
    """Whether a `try` stands around a test: somebody may wait for the TypeError of a hash."""
    return any(function.within(node, (cst.Try, cst.TryStar)) for node in nodes)


def tests(function: Function) -> Iterator[tuple[cst.Comparison, cst.BaseExpression]]:
    """Yield the `x in y` and `x not in y` of a function, with `y`."""
    for node in function.own:
        if isinstance(node, cst.Comparison) and len(node.comparisons) == 1:
            target = node.comparisons[0]
            if isinstance(target.operator, cst.In | cst.NotIn):
                yield node, target.comparator


def as_set(display: cst.List | cst.Tuple) -> cst.Set:
    """Return the same display in braces, its commas and line breaks kept."""
    if isinstance(display, cst.List):
        return cst.Set(
            elements=display.elements,
            lbrace=cst.LeftCurlyBrace(whitespace_after=display.lbracket.whitespace_after),
            rbrace=cst.RightCurlyBrace(whitespace_before=display.rbracket.whitespace_before),
        )
    opening = display.lpar[0].whitespace_after if display.lpar else cst.SimpleWhitespace("")
    return cst.Set(elements=display.elements, lbrace=cst.LeftCurlyBrace(whitespace_after=opening))


class LiteralMembership:
    """`x in [a, b, c, d]` -> `x in {a, b, c, d}`, which the compiler makes a constant frozenset.

    Preconditions: a list or tuple display of at least four constants; `x` is hashable, or the
    site says that this is assumed.
    """

    name: ClassVar[str] = "literal-set"
    prior: ClassVar[float] = 0.25

    def find(self, function: Function) -> Iterator[Site]:
        """Yield one site per function and displayed sequence."""
        for test, display in tests(function):
            found = constants(display) or ()
            if not isinstance(display, cst.List | cst.Tuple) or len(found) < FEW:
                continue
            certain = hashable(function, test.left)
            if not certain and waited_for(function, [test]):
                continue
            yield Site(
                plan=Plan(replace={display: as_set(display)}),
                label=function.code(test.left),
                title="Test membership in a constant set",
                why=f"A test against {len(found)} literals scans them one after the other; "
                "a set of constants is built once by the compiler and asks by hash.",
                assumes="" if certain else NOT_PROVEN_HASHABLE,
                factor=min(1.0, len(found) / 12) * (1.0 if certain else 0.6),
            )


class ConstantMembership:
    """`x in NAME`, NAME a module-level list or tuple of constants -> a frozenset made beside it.

    Preconditions: NAME is bound exactly once in the file, at module level, to a display of at
    least four constants; if it is a list, nothing in the file does more than look at it. Assumed:
    no other module assigns or changes NAME while the program runs.
    """

    name: ClassVar[str] = "constant-set"
    prior: ClassVar[float] = 0.45

    def find(self, function: Function) -> Iterator[Site]:
        """Yield one site per constant, with all its tests in the function."""
        done: set[str] = set()
        for _, container in tests(function):
            if isinstance(container, cst.Name) and container.value not in done:
                done.add(container.value)
                yield from self._site(function, container.value)

    def _site(self, function: Function, name: str) -> Iterator[Site]:
        index = function.index
        top = index.top_value(name)
        size = len((top and constants(top[1])) or ())
        if top is None or size < FEW or not isinstance(top[1], cst.List | cst.Tuple):
            return
        if isinstance(top[1], cst.List) and not only_looked_at(function, name):
            return
        mine = [(t, c) for t, c in tests(function) if isinstance(c, cst.Name) and c.value == name]
        certain = all(hashable(function, t.left) for t, _ in mine)
        if not certain and waited_for(function, [c for _, c in mine]):
            return
        companion = index.fresh(f"_{name.strip('_')}_SET" if name.isupper() else f"_{name}_set")
        made = statement(f"{companion} = frozenset({name})")
        assumed = [f"nothing outside of this file changes {name} while the program runs"]
        yield Site(
            plan=Plan(replace={c: cst.Name(companion) for _, c in mine}, after={top[0]: [made]}),
            label=name,
            title=f"Test membership in a frozenset of {name}",
            why=f"Each test scans the {size} elements of {name}; a frozenset built once beside "
            "it answers by hash.",
            assumes=" and ".join(assumed if certain else [*assumed, NOT_PROVEN_HASHABLE]),
            factor=min(1.0, size / 12) * (1.0 if certain else 0.7),
        )


def only_looked_at(function: Function, name: str) -> bool:
    """Whether a whole file only reads from a module-level container."""
    looks = {Use.MEMBER, Use.READ, Use.ITERATE, Use.TEST, Use.BIND}
    return all(function.use(n) in looks for n in function.index.names.get(name, ()))


class LocalMembership:
    """`x in xs` in a loop, `xs` a list that the loop leaves alone -> a set made before the loop.

    Preconditions: `xs` is a local variable, certainly a list, bound on every way to the loop; the
    loop neither rebinds it nor does more than look at it. Hashable elements and left sides are
    proven from literals, text methods and annotations, or named as assumed.
    """

    name: ClassVar[str] = "local-set"
    prior: ClassVar[float] = 0.55

    def find(self, function: Function) -> Iterator[Site]:
        """Yield one site per list and loop."""
        if not function.plain:
            return
        done: set[tuple[str, cst.CSTNode]] = set()
        for _, container in tests(function):
            if not isinstance(container, cst.Name) or not name_is_list(function, container.value):
                continue
            name = container.value
            loop = outermost(repeats(function, container), LeftAlone(function, name))
            if loop is not None and (name, loop.anchor) not in done:
                done.add((name, loop.anchor))
                yield from self._site(function, name, loop)

    def _site(self, function: Function, name: str, loop: Repeat) -> Iterator[Site]:
        mine = [
            (t, c)
            for t, c in tests(function)
            if isinstance(c, cst.Name) and c.value == name
            if function.index.contains(loop.node, c)
        ]
        certain = list_of_hashables(function, name) and all(
            hashable(function, t.left) for t, _ in mine
        )
        said = [changed_by_others(function, name, loop.node)]
        said += [] if certain else [f"{NOT_PROVEN_HASHABLE}, and so is all in {name}"]
        companion = function.fresh(f"{name}_set")
        made = statement(f"{companion} = set({name})")
        if not certain and waited_for(function, [c for _, c in mine]):
            return
        yield Site(
            plan=Plan(
                replace={c: cst.Name(companion) for _, c in mine}, before={loop.anchor: [made]}
            ),
            label=name,
            title=f"Build a set of {name} before the loop",
            why=f"The loop scans the list {name} for each element; a set built once before it "
            "answers by hash.",
            assumes=" and ".join(filter(None, said)),
            factor=1.0 if certain else 0.8,
        )


class CopyMembership:
    """`x in list(xs)` -> `x in xs`, `x in list(d.keys())` -> `x in d`: no copy to scan.

    Preconditions: the copied value is a variable annotated or bound as list, tuple, set or dict,
    or the keys of something; for anything else the site names as assumed that it is no text (whose
    `in` looks for substrings) and no iterator (which a copy would use up).
    """

    name: ClassVar[str] = "membership-copy"
    prior: ClassVar[float] = 0.5

    def find(self, function: Function) -> Iterator[Site]:
        """Yield one site per test."""
        for test, container in tests(function):
            match container:
                case cst.Call(func=func, args=[cst.Arg(value=inner, keyword=None, star="")]):
                    if function.index.builtin(func, "list", "tuple", "sorted"):
                        yield self._site(function, test, container, inner)

    def _site(
        self, function: Function, test: cst.Comparison, copy: cst.Call, inner: cst.BaseExpression
    ) -> Site:
        bare, certain = self._source(function, inner)
        assumed = [] if certain else [f"{function.code(inner)} is a container, no text or iterator"]
        if not hashable(function, test.left):
            assumed.append(NOT_PROVEN_HASHABLE)
        return Site(
            plan=Plan(replace={copy: bare}),
            label=function.code(copy),
            title=f"Test membership without copying into {function.called(copy)}()",
            why=f"Each test copies all of {function.code(inner)} before it looks at one element.",
            assumes=" and ".join(assumed),
            factor=1.0 if certain else 0.7,
        )

    def _source(
        self, function: Function, inner: cst.BaseExpression
    ) -> tuple[cst.BaseExpression, bool]:
        """Return what to test in instead, and whether it is certainly a container."""
        match inner:
            case cst.Call(func=cst.Attribute(value=mapping, attr=cst.Name(value="keys")), args=[]):
                return mapping, True
            case cst.Call(func=func):
                return inner, function.index.builtin(func, "set", "frozenset", "dict", "list")
            case cst.Name(value=name):
                kinds = ("list", "tuple", "set", "frozenset", "dict", "Mapping")
                declared = function.annotation(name).partition("[")[0] in kinds
                return inner, declared or name_is_list(function, name)
            case _:
                return expression(f"({function.code(inner)})"), False
