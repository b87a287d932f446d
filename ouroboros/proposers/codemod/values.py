"""What can be known of a value without running anything: is it text, is it hashable, is it a list.

*Text*: certainly a `str` or `bytes`, because hardly anything else has the method or the syntax.
*Hashable*: certainly usable in a set. *List*: certainly a list that this function made.
A "no" only ever means "not known". An annotation counts as knowledge: who breaks it has broken
the type checker's proof too.
"""

import ast
from collections.abc import Callable
from collections.abc import Set as AbstractSet

import libcst as cst

from ouroboros.proposers.codemod.function import Function, Use
from ouroboros.proposers.codemod.index import Index

TEXT_METHODS = frozenset(
    {"lower", "upper", "casefold", "strip", "lstrip", "rstrip", "title", "capitalize", "swapcase"}
    | {"removeprefix", "removesuffix", "zfill", "ljust", "rjust", "center", "join", "expandtabs"}
)
"""Methods that give text, and that hardly anything but text has."""

TEXT_LISTS = frozenset({"split", "rsplit", "splitlines"})
"""Methods of text that give a fresh list of text."""

TEXT_TYPES = frozenset({"str", "bytes"})
HASHABLE_TYPES = TEXT_TYPES | {"int", "float", "bool", "complex", "Path", "date", "datetime"}
"""Annotations that promise a hashable value."""

_HOLDERS = ("list", "Sequence", "Iterable", "Iterator", "Collection", "set", "frozenset", "dict")
_DEPTH = 4

Known = Callable[[Function, cst.BaseExpression, int], bool]


def constant(node: cst.CSTNode) -> bool:
    """Whether a node is a literal of an immutable type: text, number, None, True, False."""
    match node:
        case cst.SimpleString() | cst.Integer() | cst.Float():
            return True
        case cst.UnaryOperation(operator=cst.Minus(), expression=inner):
            return isinstance(inner, cst.Integer | cst.Float)
        case cst.ConcatenatedString(left=left, right=right):
            return constant(left) and constant(right)
        case cst.Name(value=value):
            return value in {"None", "True", "False"}
        case _:
            return False


def literal(index: Index, node: cst.BaseExpression) -> object:
    """Return the value of a constant.

    Raises:
        ValueError: it is none.
    """
    if not constant(node):
        raise ValueError("Not a constant")
    return ast.literal_eval(index.tree.code_for_node(node).strip())


def elements(node: cst.CSTNode) -> list[cst.BaseExpression] | None:
    """Return the elements of a list, tuple or set display without stars, else None."""
    if not isinstance(node, cst.List | cst.Tuple | cst.Set):
        return None
    if any(isinstance(e, cst.StarredElement) for e in node.elements):
        return None
    return [e.value for e in node.elements]


def constants(node: cst.CSTNode) -> list[cst.BaseExpression] | None:
    """Return the elements of a display of constants, else None."""
    found = elements(node)
    return found if found is not None and all(constant(e) for e in found) else None


def is_text(function: Function, node: cst.BaseExpression, depth: int = _DEPTH) -> bool:
    """Whether an expression certainly gives text."""
    if depth <= 0:
        return False
    match node:
        case cst.SimpleString() | cst.FormattedString() | cst.ConcatenatedString():
            return True
        case cst.Call(func=cst.Attribute(value=value, attr=cst.Name(value=name))):
            safe = name in {"format", "replace"} and is_text(function, value, depth - 1)
            return name in TEXT_METHODS or safe
        case cst.Call(func=func):
            return function.index.builtin(func, "str", "repr", "ascii", "chr", "hex", "input")
        case cst.BinaryOperation(left=left, operator=cst.Add(), right=right):
            return is_text(function, left, depth - 1) and is_text(function, right, depth - 1)
        case cst.BinaryOperation(left=left, operator=cst.Modulo() | cst.Multiply()):
            return is_text(function, left, depth - 1)
        case cst.IfExp(body=body, orelse=orelse):
            return is_text(function, body, depth - 1) and is_text(function, orelse, depth - 1)
        case cst.Subscript(value=value):
            text = is_text(function, value, depth - 1)  # of bytes, an item is an int: hashable too
            return text or _holds(function, value, depth - 1, TEXT_TYPES)
        case cst.Name(value=name):
            return _name_is(function, name, depth, TEXT_TYPES, is_text)
        case _:
            return False


def hashable(function: Function, node: cst.BaseExpression, depth: int = _DEPTH) -> bool:
    """Whether an expression certainly gives a hashable value."""
    if depth <= 0:
        return False
    if constant(node) or is_text(function, node, depth):
        return True
    match node:
        case cst.Tuple():
            inner = elements(node)
            return inner is not None and all(hashable(function, e, depth - 1) for e in inner)
        case cst.Call(func=func):
            return function.index.builtin(func, "len", "int", "ord", "id", "float", "bool", "hash")
        case cst.BinaryOperation(left=left, operator=cst.Add() | cst.Subtract(), right=right):
            return all(hashable(function, side, depth - 1) for side in (left, right))
        case cst.Subscript(value=value):
            return _holds(function, value, depth - 1, HASHABLE_TYPES)
        case cst.Name(value=name):
            return _name_is(function, name, depth, HASHABLE_TYPES, hashable)
        case _:
            return False


def is_list(function: Function, node: cst.CSTNode | None) -> bool:
    """Whether an expression certainly gives a list that nobody else holds."""
    match node:
        case cst.List() | cst.ListComp():
            return True
        case cst.Call(func=cst.Attribute(value=value, attr=cst.Name(value=name))):
            return name in TEXT_LISTS and (name == "splitlines" or is_text(function, value))
        case cst.Call(func=func):
            return function.index.builtin(func, "list", "sorted")
        case _:
            return False


def _given_list(function: Function, node: cst.BaseExpression | None) -> bool:
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Name):
        told = _returned(function, node.func).partition("[")[0]
        return told in {"list", "List"} or is_list(function, node)
    return is_list(function, node)


def _returned(function: Function, func: cst.BaseExpression) -> str:
    """Return the annotated return type of a function of the same file, or the empty text."""
    if not isinstance(func, cst.Name) or function.index.bound[func.value] != 1:
        return ""
    for known in function.index.functions:
        plain = known.node.asynchronous is None and not known.node.decorators
        if known.qualname == func.value and plain and known.node.returns is not None:
            return function.code(known.node.returns.annotation).strip("\"'").replace(" ", "")
    return ""


def name_is_list(function: Function, name: str) -> bool:
    """Whether every binding of a variable is a list, or its annotation says so."""
    if name in function.captured or function.bound[name] == 0:
        return False
    return all(
        _annotated(function, binding).partition("[")[0] in {"list", "List"}
        if isinstance(binding, cst.Param)
        else _given_list(function, value_of(function, binding))
        for binding in function.bindings_of(name)
    )


def list_of_hashables(function: Function, name: str) -> bool:
    """Whether a list variable certainly holds hashable values only."""
    return _name_holds(function, name, _DEPTH, HASHABLE_TYPES)


def _name_is(
    function: Function, name: str, depth: int, types: AbstractSet[str], known: Known
) -> bool:
    if name in function.captured or function.bound[name] == 0:
        return False
    return all(
        _binding_is(function, binding, depth, types, known)
        for binding in function.bindings_of(name)
    )


def _binding_is(
    function: Function, binding: cst.CSTNode, depth: int, types: AbstractSet[str], known: Known
) -> bool:
    """Whether one binding of a variable gives a value of the wanted kind."""
    match binding:
        case cst.Param():
            return _annotated(function, binding) in types and not binding.star
        case cst.For(target=cst.Name(), iter=it) | cst.CompFor(target=cst.Name(), iter=it):
            return _holds(function, it, depth - 1, types)
        case _:
            value = value_of(function, binding)
            return value is not None and known(function, value, depth - 1)


def value_of(function: Function, binding: cst.CSTNode) -> cst.BaseExpression | None:
    """Return what a plain `name = value` (or walrus) binding assigns."""
    match binding:
        case cst.AssignTarget(target=cst.Name()):
            statement = function.index.parent[binding]
            return statement.value if isinstance(statement, cst.Assign) else None
        case cst.AnnAssign(target=cst.Name(), value=value):
            return value
        case cst.NamedExpr(value=value):
            return value
        case _:
            return None


def _annotated(function: Function, binding: cst.Param) -> str:
    return function.annotation(binding.name.value)


def _holds(
    function: Function, node: cst.CSTNode | None, depth: int, types: AbstractSet[str]
) -> bool:
    """Whether iterating over (or indexing) an expression certainly gives values of these types."""
    if depth <= 0 or node is None:
        return False
    match node:
        case cst.Call(func=cst.Attribute(value=value, attr=cst.Name(value=name))):
            text = name in TEXT_LISTS and is_text(function, value, depth - 1)
            return "str" in types and (text or name == "splitlines")
        case cst.Call(func=func, args=[cst.Arg(value=inner, star="")]):
            copies = ("sorted", "list", "set", "tuple", "reversed", "frozenset")
            copied = function.index.builtin(func, *copies)
            return (
                (copied and _holds(function, inner, depth - 1, types))
                or ("int" in types and function.index.builtin(func, "range"))
                or _holder_of(_returned(function, func), types)
            )
        case cst.ListComp(elt=elt) | cst.SetComp(elt=elt) | cst.GeneratorExp(elt=elt):
            known = hashable if "int" in types else is_text
            return known(function, elt, depth - 1)
        case cst.Name(value=name):
            return _name_holds(function, name, depth, types)
        case cst.List() | cst.Tuple() | cst.Set():
            inner_elements = elements(node)
            known = hashable if "int" in types else is_text
            return inner_elements is not None and all(
                known(function, e, depth - 1) for e in inner_elements
            )
        case _:
            return False


def _name_holds(function: Function, name: str, depth: int, types: AbstractSet[str]) -> bool:
    if name in function.captured or function.bound[name] == 0:
        return False
    bindings = function.bindings_of(name)
    if all(isinstance(b, cst.Param) for b in bindings):
        return _holder_of(function.annotation(name), types)
    if not all(_holds(function, value_of(function, b), depth - 1, types) for b in bindings):
        return False
    return function.only_read(function.node.body, name, Use.BIND, Use.RETURN)


def _holder_of(annotation: str, types: AbstractSet[str]) -> bool:
    holder, bracket, rest = annotation.partition("[")
    first = rest.rstrip("]").split(",")[0]
    return bool(bracket) and holder.rsplit(".", 1)[-1] in _HOLDERS and first in types
