"""Regular expressions that are looked up (or compiled) again on every call."""

import re
from collections.abc import Iterator
from typing import ClassVar

import libcst as cst

from ouroboros.proposers.codemod.edits import Plan, expression, statement
from ouroboros.proposers.codemod.function import Function
from ouroboros.proposers.codemod.index import dotted
from ouroboros.proposers.codemod.transformation import Site
from ouroboros.proposers.codemod.values import literal

POSITIONAL = {"match": 2, "fullmatch": 2, "search": 2, "findall": 2, "finditer": 2}
POSITIONAL |= {"split": 3, "sub": 4, "subn": 4}
"""Functions of `re`, and how many positional arguments come before `flags`."""

FLAGS = frozenset(
    {"A", "I", "M", "S", "X", "ASCII", "IGNORECASE", "MULTILINE", "DOTALL", "VERBOSE"}
)
_AMBIGUOUS = re.compile(r"\[[^\]]*(?:--|&&|\|\||~~|\[)")  # within a set, these make `re` warn
_LONG = 500


class HoistRegex:
    """`re.match("literal", text)` in a function -> a pattern compiled at module level.

    Preconditions: `re` is imported at module level and bound once; the pattern is a literal that
    compiles without a warning; flags, if any, are named flags of `re`; the call stands in no
    `try`, so that nobody there waits for `re.error`.
    """

    name: ClassVar[str] = "hoist-regex"
    prior: ClassVar[float] = 0.4

    def find(self, function: Function) -> Iterator[Site]:
        """Yield one site for all patterns of the function."""
        module = function.index.imported("re")
        if module is None or module in function.bound:
            return
        replace: dict[cst.CSTNode, cst.CSTNode] = {}
        constants: dict[str, str] = {}
        looped = False
        for call in function.own:
            if isinstance(call, cst.Call) and not function.within(call, (cst.Try, cst.TryStar)):
                found = _compiled(function, call, module)
                if found is not None:
                    made, method, rest = found
                    name = constants.setdefault(made, self._name(function, constants))
                    code = f"{name}.{method}({rest})" if method else name
                    replace[call] = expression(code)
                    looped |= function.enclosing_loop(call) is not None
        if replace:
            yield Site(
                plan=Plan(
                    replace=replace,
                    constants=[statement(f"{n} = {made}") for made, n in constants.items()],
                ),
                label="",
                title="Compile the patterns once, at module level",
                why=f"The function has {len(constants)} literal pattern(s) that `re` looks up in "
                "its cache (or compiles) on every call.",
                factor=1.0 if looped else 0.7,
            )

    def _name(self, function: Function, taken: dict[str, str]) -> str:
        wish = f"_{function.node.name.value.strip('_').upper()}_RE"
        number = 1
        while True:
            name = function.index.fresh(wish if number == 1 else f"{wish}_{number}")
            if name not in taken.values():
                return name
            number += 1


def _compiled(function: Function, call: cst.Call, module: str) -> tuple[str, str, str] | None:
    """Return the compiling call, the method, and its arguments, for a call of `re`."""
    prefix, _, name = dotted(call.func).partition(".")
    if prefix != module or not call.args or any(a.star for a in call.args):
        return None
    flags = _split_flags(function, call, name, module)
    if flags is None or call.args[0].keyword is not None:
        return None
    flag_code, rest = flags
    if not _valid(function, call.args[0].value):
        return None
    pattern = function.code(call.args[0].value)
    made = f"{module}.compile({pattern}{', ' + flag_code if flag_code else ''})"
    if name == "compile":
        return (made, "", "") if not rest else None
    return made, name, ", ".join(rest)


def _split_flags(
    function: Function, call: cst.Call, name: str, module: str
) -> tuple[str, list[str]] | None:
    """Return the flags' code and the other arguments' code, or None where they are not known."""
    before = 1 if name == "compile" else POSITIONAL.get(name)
    if before is None:
        return None
    flag: cst.BaseExpression | None = None
    rest = []
    for position, arg in enumerate(call.args[1:], 1):
        if (arg.keyword is None and position == before) or (
            arg.keyword is not None and arg.keyword.value == "flags"
        ):
            flag = arg.value
        elif position > before and arg.keyword is None:
            return None
        else:
            rest.append(_argument(function, arg))
    if flag is None:
        return "", rest
    return (function.code(flag), rest) if _known_flags(flag, module) else None


def _argument(function: Function, arg: cst.Arg) -> str:
    value = function.code(arg.value)
    return f"{arg.keyword.value}={value}" if arg.keyword is not None else value


def _known_flags(node: cst.BaseExpression, module: str) -> bool:
    match node:
        case cst.BinaryOperation(left=left, operator=cst.BitOr(), right=right):
            return _known_flags(left, module) and _known_flags(right, module)
        case _:
            prefix, _, name = dotted(node).partition(".")
            return prefix == module and name in FLAGS


def _valid(function: Function, node: cst.BaseExpression) -> bool:
    """Whether an expression is a literal pattern that compiles without a word."""
    try:
        pattern = literal(function.index, node)
    except (ValueError, SyntaxError):
        return False
    if not isinstance(pattern, str | bytes) or len(pattern) > _LONG:
        return False
    text = pattern if isinstance(pattern, str) else pattern.decode("latin-1")
    if _AMBIGUOUS.search(text):
        return False
    try:
        re.compile(pattern)
    except (re.error, ValueError, OverflowError, RecursionError):
        return False
    return True
