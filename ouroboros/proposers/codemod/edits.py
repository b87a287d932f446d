"""A rewrite as a value (`Plan`), and the one visitor that carries it out.

Transformations only say which node becomes which, and what goes before, after or to module level;
none of them walks a tree by itself. Everything that is not named in a plan keeps its exact text,
comments and blank lines included.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import libcst as cst

from ouroboros.proposers.codemod.index import Index, dotted

Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement
Statements = Sequence[Statement]


@dataclass(frozen=True)
class Plan:
    """What to change.

    Attributes:
        replace: expressions or statements, and what stands in their place.
        before: statements, and those put in front of them in the same block.
        after: statements, and those put behind them.
        constants: statements put at module level behind the imports.
        imports: `(module, name)` for `from module import name`, put with the imports.
    """

    replace: Mapping[cst.CSTNode, cst.CSTNode | cst.RemovalSentinel] = field(default_factory=dict)
    before: Mapping[cst.CSTNode, Statements] = field(default_factory=dict)
    after: Mapping[cst.CSTNode, Statements] = field(default_factory=dict)
    constants: Statements = ()
    imports: Sequence[tuple[str, str]] = ()


def expression(code: str) -> cst.BaseExpression:
    """Parse an expression."""
    return cst.parse_expression(code)


def statement(code: str) -> Statement:
    """Parse one statement."""
    parsed = cst.parse_statement(code)
    if isinstance(parsed, cst.SimpleStatementLine | cst.BaseCompoundStatement):
        return parsed
    raise TypeError(f"Not a statement: {code!r}")


def apply(index: Index, plan: Plan) -> str:
    """Return the file's text with a plan carried out."""
    changed = index.tree.visit(_Applier(plan))
    if not isinstance(changed, cst.Module):
        raise TypeError("A module did not stay one")
    body = list(changed.body)
    at = _after_imports(body)
    if plan.constants:
        body[at : at + 1] = [*_spaced(plan.constants), *map(_lead, body[at : at + 1])]
    for module, name in plan.imports:
        _add_import(body, statement(f"from {module} import {name}"))
    return changed.with_changes(body=body).code


def _add_import(body: list[Statement], line: Statement) -> None:
    """Put an import of the standard library behind the last of its kind, else where it fits."""
    at = _after_imports(body)
    known = [i for i, old in enumerate(body[:at]) if _from_stdlib(old)]
    if known:
        body.insert(known[-1] + 1, line)
    elif any(_imports(old) for old in body[:at]):
        first = next(i for i, old in enumerate(body) if _imports(old))
        body[first : first + 1] = [_lead(line) if first else line, _lead(body[first])]
    else:
        body[at : at + 1] = [_lead(line) if at else line, *map(_lead, body[at : at + 1])]


def _imports(line: cst.CSTNode) -> bool:
    small = line.body if isinstance(line, cst.SimpleStatementLine) else ()
    return bool(small) and all(isinstance(s, cst.Import | cst.ImportFrom) for s in small)


def _from_stdlib(line: cst.CSTNode) -> bool:
    if not isinstance(line, cst.SimpleStatementLine):
        return False
    match line.body[0]:
        case cst.ImportFrom(module=module, relative=[]):
            names = [dotted(module)]
        case cst.Import(names=aliases):
            names = [alias.evaluated_name for alias in aliases]
        case _:
            return False
    return all(name.partition(".")[0] in sys.stdlib_module_names for name in names)


def _after_imports(body: Sequence[cst.CSTNode]) -> int:
    """Return where module-level constants may go: behind the leading docstring and imports."""
    at = 0
    for position, line in enumerate(body):
        if _imports(line) or (position == 0 and _is_docstring(line)):
            at = position + 1
        elif not _skippable(line):
            break
    return at


def _is_docstring(line: cst.CSTNode) -> bool:
    match line:
        case cst.SimpleStatementLine(body=[cst.Expr(value=value)]):
            return isinstance(value, cst.SimpleString | cst.ConcatenatedString)
        case _:
            return False


def _skippable(line: cst.CSTNode) -> bool:
    """Whether imports may still follow: `if TYPE_CHECKING:` and `try: import` blocks."""
    if isinstance(line, cst.Try | cst.If):
        blocks = [line.body]
        return all(
            isinstance(inner, cst.SimpleStatementLine)
            and all(isinstance(s, cst.Import | cst.ImportFrom) for s in inner.body)
            for block in blocks
            for inner in block.body
        )
    return False


def _spaced(lines: Statements) -> list[Statement]:
    """Put one blank line in front of the first."""
    first, *rest = lines
    return [_lead(first), *rest]


def _lead(line: Statement) -> Statement:
    """Return a statement with a blank line in front, where it has none."""
    leading = getattr(line, "leading_lines", ())
    if leading and leading[0].comment is None:
        return line
    return line.with_changes(leading_lines=[cst.EmptyLine(indent=False), *leading])


class _Applier(cst.CSTTransformer):
    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan

    def on_leave(  # type: ignore[override]  # the base narrows by node type; a plan holds any
        self, original_node: cst.CSTNode, updated_node: cst.CSTNode
    ) -> cst.CSTNode | cst.RemovalSentinel | cst.FlattenSentinel[cst.CSTNode]:
        plan = self._plan
        node = plan.replace.get(original_node, updated_node)
        before = plan.before.get(original_node, ())
        after = plan.after.get(original_node, ())
        if isinstance(node, cst.RemovalSentinel) or not (before or after):
            return node
        return cst.FlattenSentinel([*_moved(before, node), *after])


def _moved(before: Statements, node: cst.CSTNode) -> list[cst.CSTNode]:
    """Let comments and blank lines above a statement stay above what is put in front of it."""
    if not before:
        return [node]
    leading = getattr(node, "leading_lines", ())
    first, *rest = before
    return [
        first.with_changes(leading_lines=leading),
        *rest,
        node.with_changes(leading_lines=()),
    ]
