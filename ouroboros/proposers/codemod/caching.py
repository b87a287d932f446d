"""Remembering answers: the rewrite that helps most, and that fools a benchmark most easily.

A cache looks 60 % faster on a benchmark that asks the same question again, and can be three times
slower on new questions. It is proposed late, and its rationale says what to hold against it.
"""

from collections.abc import Iterator
from typing import ClassVar

import libcst as cst

from ouroboros.proposers.codemod.edits import Plan
from ouroboros.proposers.codemod.function import Function
from ouroboros.proposers.codemod.index import dotted
from ouroboros.proposers.codemod.sharing import made_here
from ouroboros.proposers.codemod.transformation import Site
from ouroboros.proposers.codemod.values import HASHABLE_TYPES, TEXT_LISTS, is_list

IMPURE = frozenset(
    {"open", "print", "input", "iter", "next", "exec", "eval", "globals", "locals", "vars"}
    | {"setattr", "delattr", "getattr", "id", "object", "__import__", "breakpoint", "compile"}
)
MANY = 3
SIZE = 1024


class CacheResult:
    """A module-level function that looks pure -> `functools.lru_cache` on it.

    Preconditions: no decorator, no `*args`, one to three parameters, all annotated with a hashable
    type; no `yield`, `await`, `global`, `raise`, no store to an attribute or item, no call for its
    effect but on what the function made; all it calls are builtins, methods, or functions and
    patterns of the same file; it returns something, and no list, dict or set that it visibly
    makes or its annotation promises. Assumed: all the rest of what purity means.
    """

    name: ClassVar[str] = "cache-result"
    prior: ClassVar[float] = 0.1

    def find(self, function: Function) -> Iterator[Site]:
        """Yield at most one site."""
        definition = function.definition
        if definition.in_class or definition.nested or function.node.decorators:
            return
        if not function.plain or function.generator or not self._signature(function):
            return
        if not self._gives(function) or not all(
            self._looks_pure(function, n) for n in function.own
        ):
            return
        name, imports = self._decorator(function)
        if name:
            yield self._site(function, name, imports)

    def _site(self, function: Function, name: str, imports: list[tuple[str, str]]) -> Site:
        call = cst.Call(
            cst.Name(name),
            [cst.Arg(cst.Integer(str(SIZE)), keyword=cst.Name("maxsize"), equal=_tight())],
        )
        cached = function.node.with_changes(
            decorators=[cst.Decorator(call)],
        )
        return Site(
            plan=Plan(replace={function.node: cached}, imports=imports),
            label="",
            title="Remember the last answers",
            why=f"It looks pure; if it is asked the same again, the last {SIZE} answers are kept. "
            "Check it on inputs that were not seen before: there it can only be slower.",
            assumes="it is pure, its arguments are hashable (and 1, 1.0 and True need no different "
            "answers), and no caller changes what it returns",
        )

    def _signature(self, function: Function) -> bool:
        params = function.node.params
        plain = [*params.params, *params.posonly_params]
        if isinstance(params.star_arg, cst.Param) or params.star_kwarg or params.kwonly_params:
            return False
        if not 1 <= len(plain) <= MANY:
            return False
        return all(function.annotation(p.name.value) in HASHABLE_TYPES for p in plain)

    def _gives(self, function: Function) -> bool:
        """Whether a value comes back, and none that its reader may want to change."""
        returns = function.node.returns
        note = function.code(returns.annotation).partition("[")[0] if returns else ""
        given = any(isinstance(n, cst.Return) and n.value is not None for n in function.own)
        return given and note not in {"list", "dict", "set", "bytearray", "Iterator", "None"}

    def _looks_pure(self, function: Function, node: cst.CSTNode) -> bool:
        match node:
            case cst.Global() | cst.Nonlocal() | cst.FunctionDef() | cst.ClassDef() | cst.Lambda():
                return False
            case cst.Import() | cst.ImportFrom() | cst.Raise() | cst.With() | cst.Del():
                return False
            case cst.AssignTarget(target=target) | cst.AugAssign(target=target):
                return isinstance(target, cst.Name | cst.Tuple)
            case cst.Expr(value=cst.Call(func=func)):
                return made_here(function, dotted(func).partition(".")[0])
            case cst.Return(value=value):
                return not self._fresh_container(function, value)
            case cst.Call():
                return self._pure_call(function, node)
            case _:
                return True

    def _fresh_container(self, function: Function, value: cst.BaseExpression | None) -> bool:
        if isinstance(value, cst.Name):
            return any(
                isinstance(b, cst.AssignTarget)
                and isinstance(a := function.index.parent[b], cst.Assign)
                and self._fresh_container(function, a.value)
                for b in function.bindings_of(value.value)
            )
        made = isinstance(value, cst.Dict | cst.Set | cst.DictComp | cst.SetComp | cst.GeneratorExp)
        split = isinstance(value, cst.Call) and isinstance(value.func, cst.Attribute)
        lists = split and value.func.attr.value in TEXT_LISTS  # type: ignore[union-attr]  # as tested
        return made or lists or is_list(function, value)

    def _pure_call(self, function: Function, call: cst.Call) -> bool:
        index = function.index
        if isinstance(call.func, cst.Name):
            name = call.func.value
            own = index.bound[name] == 1 and any(
                f.node.name.value == name or name[:1].isupper() for f in index.functions
            )
            return own or (index.builtin(call.func) and name not in IMPURE)
        if isinstance(call.func, cst.Attribute):
            root = dotted(call.func.value).partition(".")[0]
            module_level = root not in function.bound and bool(root)
            return not module_level or root.isupper() or root == index.imported("re")
        return False

    def _decorator(self, function: Function) -> tuple[str, list[tuple[str, str]]]:
        index = function.index
        name = index.imported_from("functools", "lru_cache")
        if name is not None:
            return name, []
        free = not index.bound["lru_cache"] and "lru_cache" not in index.names and not index.star
        return ("lru_cache", [("functools", "lru_cache")]) if free else ("", [])


def _tight() -> cst.AssignEqual:
    nothing = cst.SimpleWhitespace("")
    return cst.AssignEqual(whitespace_before=nothing, whitespace_after=nothing)
