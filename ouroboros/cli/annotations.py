"""Which annotations stand for values that hypothesis can draw, read from source alone.

Names are followed through the imports of their file (`import typing as t`, `from typing import
List`) and through module-level aliases (`Vector = list[float]`). What is not understood here is not
drawable: a challenge that is not proposed costs nothing, one that cannot make inputs costs trust.
`Iterable` and `Collection` are not: hypothesis draws iterators and views of dictionaries for them,
which cannot be handed to another process, or only once.
"""

import ast
from collections.abc import Mapping

_ATOMS = frozenset({"int", "float", "complex", "str", "bytes", "bool", "None"})
_SEQUENCES = frozenset(
    {
        *("list", "set", "frozenset", "typing.List", "typing.Set", "typing.FrozenSet"),
        *("typing.Sequence", "collections.abc.Sequence"),
    }
)
_HASHED = frozenset({"set", "frozenset", "typing.Set", "typing.FrozenSet"})
_TUPLES = frozenset({"tuple", "typing.Tuple"})
_MAPPINGS = frozenset({"dict", "typing.Dict", "typing.Mapping", "collections.abc.Mapping"})
_BUILTIN = _ATOMS | {"list", "set", "frozenset", "tuple", "dict"}
_DEEPEST = 8


class Annotations:
    """The annotations of one file."""

    def __init__(self, tree: ast.Module) -> None:
        """Read what names mean in it."""
        self._names = imported(tree)
        self._aliases = _aliases(tree)

    def drawable(self, node: ast.expr | None, *, hashed: bool = False, depth: int = 0) -> bool:
        """Whether hypothesis can draw values of an annotation.

        Args:
            node: the annotation.
            hashed: the values stand in a set or as keys.
            depth: how many annotations this one is in.
        """
        if node is None or depth > _DEEPEST:
            return False
        match node:
            case ast.Constant(value=None):
                return True
            case ast.Constant(value=str(text)):
                return self.drawable(_parsed(text), hashed=hashed, depth=depth + 1)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return all(self.drawable(n, hashed=hashed, depth=depth + 1) for n in (left, right))
            case ast.Subscript(value=value, slice=inner):
                return self._generic(self._meaning(value), inner, hashed=hashed, depth=depth + 1)
            case ast.Name(id=name) if name in self._aliases and name not in self._names:
                return self.drawable(self._aliases[name], hashed=hashed, depth=depth + 1)
        return self._meaning(node) in _ATOMS

    def _generic(self, name: str, inner: ast.expr, *, hashed: bool, depth: int) -> bool:
        parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
        if name == "typing.Literal":
            return all(isinstance(part, ast.Constant | ast.UnaryOp) for part in parts)
        if name in ("typing.Optional", "typing.Union"):
            return all(self.drawable(part, hashed=hashed, depth=depth) for part in parts)
        if name in _TUPLES:
            kept = [p for p in parts if not (isinstance(p, ast.Constant) and p.value is Ellipsis)]
            return bool(kept) and all(self.drawable(p, hashed=hashed, depth=depth) for p in kept)
        if hashed and name not in ("frozenset", "typing.FrozenSet"):
            return False
        if name in _MAPPINGS and len(parts) == 2:  # noqa: PLR2004 - keys and values
            return self.drawable(parts[0], hashed=True, depth=depth) and self.drawable(
                parts[1], depth=depth
            )
        if name in _SEQUENCES and len(parts) == 1:
            return self.drawable(parts[0], hashed=name in _HASHED, depth=depth)
        return False

    def _meaning(self, node: ast.expr) -> str:
        """Return the full name of what a node names; empty where it names nothing known."""
        if isinstance(node, ast.Name):
            return self._names.get(node.id, node.id if node.id in _BUILTIN else "")
        if isinstance(node, ast.Attribute):
            home = self._meaning(node.value)
            return f"{home}.{node.attr}" if home else ""
        return ""


def imported(tree: ast.Module) -> dict[str, str]:
    """Return the names that a file imports, and what each stands for."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                found[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom):
            home = "." * node.level + (node.module or "")
            for alias in node.names:
                found[alias.asname or alias.name] = f"{home}.{alias.name}"
    return found


def _aliases(tree: ast.Module) -> Mapping[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found[name] = value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                found[name] = value
    return found


def _parsed(text: str) -> ast.expr | None:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
