"""Which files are safe to hand to libcst.

Its parser is native code that recurses without a limit: `a and a and ...` of twenty thousand terms
ends the whole process by a segmentation fault, and no `except` helps. Python's own parser has
limits and raises, so that it goes first, and what it returns is measured here. Some things are a
chain in libcst where `ast` has a flat list or a text; those are counted too.
"""

import ast

DEEPEST = 200
"""Levels of syntax beyond which a file is left alone; real code stays below fifty."""


def too_deep(module: ast.Module) -> bool:
    """Whether any part of a syntax tree is nested, or chained, beyond `DEEPEST`."""
    waiting: list[tuple[ast.AST, int]] = [(module, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > DEEPEST or _chain(node) > DEEPEST:
            return True
        waiting.extend((child, depth + 1) for child in ast.iter_child_nodes(node))
    return False


def _chain(node: ast.AST) -> int:
    """Return how many levels a node adds in libcst although `ast` shows one."""
    match node:
        case ast.BoolOp(values=parts) | ast.MatchOr(patterns=parts) | ast.JoinedStr(values=parts):
            return len(parts)
        case (
            ast.ListComp(generators=loops)
            | ast.SetComp(generators=loops)
            | ast.DictComp(generators=loops)
            | ast.GeneratorExp(generators=loops)
        ):
            return len(loops)
        case ast.alias(name=name):
            return name.count(".")
        case ast.ImportFrom(module=str(name)):
            return name.count(".")
        case _:
            return 0
