"""A changed Python file: the tree before, the tree after, and what is new in between. Pure."""

import ast
from collections.abc import Iterator

from ouroboros.config import Screen
from ouroboros.evaluation.screen.features import Feature, at, grown
from ouroboros.evaluation.screen.interface import interface
from ouroboros.evaluation.screen.lines import introduced
from ouroboros.evaluation.screen.marks import Finding
from ouroboros.evaluation.screen.objects import objects
from ouroboros.evaluation.screen.persuasion import speaks
from ouroboros.evaluation.screen.reach import reach
from ouroboros.evaluation.screen.removed import removed, swallowed
from ouroboros.evaluation.screen.state import state
from ouroboros.evaluation.screen.syntax import Broken, Module, parse
from ouroboros.vcs.values import Source


def changed(source: Source, own: frozenset[str], options: Screen) -> Iterator[Finding]:
    """Find everything that a Python file newly does.

    Args:
        source: the file before and after.
        own: top-level names of the target's own modules.
        options: `[screen]`.
    """
    after = parse(source.path, source.after or b"")
    before = parse(source.path, source.before or b"")
    if isinstance(after, Broken) or isinstance(before, Broken):
        yield _unread(source, before, after)
        return
    known = frozenset(before.definitions)
    names = own | _names(source.path)
    allowed = frozenset(options.modules)
    new = frozenset(line.number for line in introduced(source))
    yield from grown(
        _features(before, known, names, allowed),
        _features(after, known, names, allowed),
        after,
        new,
    )
    if source.before is not None:
        yield from removed(before, after)
        yield from interface(before, after)


def _features(
    module: Module, known: frozenset[str], own: frozenset[str], allowed: frozenset[str]
) -> Iterator[Feature]:
    yield from reach(module, own, allowed)
    yield from objects(module, known)
    yield from state(module, known)
    yield from swallowed(module)
    yield from _spoken(module)


def _spoken(module: Module) -> Iterator[Feature]:
    """Yield texts that speak to a reviewer only once their pieces are put together."""
    for item in module.nodes:
        if isinstance(item.node, ast.Constant) and isinstance(item.node.value, str):
            words = "" if isinstance(item.parent, ast.Expr) else speaks(item.node.value)
            if words:
                yield at("addresses-reviewer", words, item)


def _names(path: str) -> frozenset[str]:
    """Return the names by which a file may import its neighbours, as far as its path tells."""
    return frozenset(part.removesuffix(".py") for part in path.split("/"))


def _unread(source: Source, before: Module | Broken, after: Module | Broken) -> Finding:
    """Say why the file could not be compared; refuse what Python itself would refuse."""
    content = (source.after or b"").decode("utf-8", "replace").split("\n")
    if isinstance(after, Broken):
        shown = content[after.line - 1] if 0 < after.line <= len(content) else ""
        was_fine = not isinstance(before, Broken)
        rule = "does-not-compile" if after.wrong and was_fine else "not-understood"
        return Finding(rule, source.path, after.line, after.why, shown)
    why = before.why if isinstance(before, Broken) else ""
    return Finding("not-understood", source.path, detail=f"as it was before: {why}")
