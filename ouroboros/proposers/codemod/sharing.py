"""Who else may hold a container, and change it while a loop runs.

A loop that only looks at `xs` by that name can still change it: by `add = xs.append` taken before
the loop, or by calling something that was given the same list. The first can be seen in the
function and is refused; the second can be ruled out only where the list was made here and handed
to nobody, or where the loop calls nothing that could do it. Otherwise it is named as assumed.
"""

import libcst as cst

from ouroboros.proposers.codemod.function import LOOKING, Function, Use
from ouroboros.proposers.codemod.values import TEXT_LISTS, TEXT_METHODS, constant, value_of

PURE_METHODS = (
    TEXT_METHODS | TEXT_LISTS | LOOKING | {"startswith", "endswith", "isdigit", "isalpha"}
)
PURE_METHODS |= {
    "copy",
    "isspace",
    "isupper",
    "islower",
    "find",
    "rfind",
    "replace",
    "format",
    "group",
}
PURE_BUILTINS = (
    *("len", "isinstance", "abs", "str", "int", "float", "bool", "ord", "chr", "min", "max"),
    *("round", "repr", "hash", "divmod", "pow", "sum", "any", "all", "sorted", "list", "tuple"),
    *("set", "frozenset", "dict", "enumerate", "zip", "range", "reversed", "print"),
)
_MAKERS = ("list", "dict", "set", "sorted", "tuple", "frozenset", "len", "str", "int", "float")


def handed_on(function: Function, name: str, region: cst.CSTNode) -> bool:
    """Whether a variable's value may have got another name before a loop has ended."""
    outer: cst.CSTNode = region
    for up in function.index.ancestors(region):
        if up is function.node:
            break
        if isinstance(up, cst.For | cst.While):
            outer = up
    return any(
        function.use(use) is Use.OTHER
        for use in function.index.uses(function.node.body, name)
        if not function.index.before(outer, use)
    )


def changed_by_others(function: Function, name: str, region: cst.CSTNode) -> str:
    """Return what must be assumed of others during a loop; empty where it is certain."""
    if made_here(function, name) or quiet(function, region):
        return ""
    return f"nothing that the loop calls changes {name}"


def made_here(function: Function, name: str) -> bool:
    """Whether every value of a variable is a constant, or a container that the function made."""
    return function.local(name) and all(
        isinstance(binding, cst.AugAssign) or _made(function, value_of(function, binding))
        for binding in function.bindings_of(name)
    )


def _made(function: Function, value: cst.BaseExpression | None) -> bool:
    match value:
        case None:
            return False
        case cst.BinaryOperation(left=cst.List(), operator=cst.Multiply()):
            return True
        case cst.List() | cst.Dict() | cst.Set() | cst.Tuple():
            return True
        case cst.ListComp() | cst.DictComp() | cst.SetComp() | cst.FormattedString():
            return True
        case cst.Call(func=cst.Attribute(attr=cst.Name(value=method))):
            return method in TEXT_METHODS | TEXT_LISTS
        case cst.Call(func=func):
            return function.index.builtin(func, *_MAKERS)
        case _:
            return constant(value)


def quiet(function: Function, region: cst.CSTNode) -> bool:
    """Whether a loop runs nothing that could change a container which others made."""
    return all(_is_quiet(function, node) for node in function.index.inside(region))


def _is_quiet(function: Function, node: cst.CSTNode) -> bool:
    match node:
        case cst.Yield() | cst.Await() | cst.Del() | cst.With():
            return False
        case cst.Call(func=cst.Attribute(value=cst.Name(value=root), attr=method)):
            return method.value in PURE_METHODS or made_here(function, root)
        case cst.Call(func=cst.Attribute(attr=method)):
            return method.value in PURE_METHODS
        case cst.Call(func=func):
            return function.index.builtin(func, *PURE_BUILTINS)
        case cst.AssignTarget(target=target) | cst.AugAssign(target=target):
            return _stores_here(function, target, isinstance(node, cst.AugAssign))
        case _:
            return True


def _stores_here(function: Function, target: cst.BaseExpression, in_place: bool) -> bool:  # noqa: FBT001 - one caller, by what it matched
    match target:
        case cst.Subscript(value=cst.Name(value=root)):
            return made_here(function, root)
        case cst.Name(value=name):
            return not in_place or made_here(function, name)
        case cst.Tuple(elements=parts):
            return all(isinstance(part.value, cst.Name) for part in parts)
        case _:
            return False
