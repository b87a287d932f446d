"""The rules, by name: what each says, and which option answers for it. Pure.

Names are part of the ledger and of scripts that read it: they are never changed, only added.
`docs/screen.md` has the same table in prose, and a test holds the two together.
"""

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from ouroboros.config import Answer, Screen
from ouroboros.model.proposal import Mark, Severity
from ouroboros.model.text import safe_line, safe_text

Option = Literal["", "reach", "state", "removed", "persuasion"]

SHOWN = 160
"""Characters of a line that a mark shows."""
PER_RULE = 12
"""Marks of one rule in one file; a hostile diff must not fill the ledger."""
IN_ALL = 120


class Rule(NamedTuple):
    """What a rule does (`option` empty: always `severity`) and how its findings begin."""

    severity: Severity
    option: Option
    says: str


def _refuses(says: str) -> Rule:
    return Rule(Severity.REJECT, "", says)


def _holds(says: str, option: Option = "") -> Rule:
    return Rule(Severity.HOLD, option, says)


RULES = {
    "empty-diff": _refuses("the diff changes no file"),
    "diff-size": _refuses("the diff is larger than [screen] max_bytes"),
    "protected-path": _refuses("protected file"),
    "path-trick": _refuses("a path that not every system reads alike"),
    "path-characters": _refuses("a path with characters that a reviewer cannot see"),
    "case-collision": _refuses("a name that differs from another one only by case"),
    "compiled-file": _refuses("compiled or packed files cannot be reviewed"),
    "shadows-module": _refuses("a new module with the name of one that others import"),
    "symlink": _refuses("symbolic links are not allowed in a candidate"),
    "submodule": _refuses("submodules are not allowed in a candidate"),
    "file-mode": _refuses("file mode"),
    "binary": _refuses("binary content cannot be reviewed"),
    "hidden-characters": _refuses("control, bidirectional or invisible characters"),
    "source-encoding": _refuses("source text must be UTF-8"),
    "does-not-compile": _refuses("does not compile, and did before"),
    "deletes-file": _holds("the candidate deletes a file"),
    "build-file": _holds("decides how the target is built or which packages it gets"),
    "data-file": _holds("no source text: tests and benchmarks may work on it"),
    "new-module": _holds("a new top-level module, which may stand in for one that is installed"),
    "not-understood": _holds("could not be read as a syntax tree, so only its lines were judged"),
    "mixed-script": _holds("a name that looks like another one"),
    "new-import": _holds("imports what the file did not import before", "reach"),
    "new-reach": _holds("reaches what it did not reach before", "reach"),
    "hidden-code": _holds("text that may hide code or steer a terminal", "reach"),
    "detects-run": _holds("text by which code can tell a test or benchmark", "reach"),
    "defines-operator": _holds("defines how values compare, convert or look", "reach"),
    "value-subclass": _holds("a type that can pass for a plain value", "reach"),
    "lazy-result": _holds("a result that is computed only when it is looked at", "reach"),
    "foreign-decorator": _holds("a decorator from elsewhere", "reach"),
    "patches-foreign": _holds("changes an object that is not its own", "reach"),
    "shadows-builtin": _holds("rebinds a name that the file did not define", "reach"),
    "adds-cache": _holds(
        "adds a cache: faster on repeated input says nothing about input not seen before, first "
        "calls and memory",
        "state",
    ),
    "adds-state": _holds("state that outlives a call", "state"),
    "adds-table": _holds("a large table of constants: answers may be looked up", "state"),
    "import-work": _holds("work done at import", "state"),
    "removes-check": _holds("fewer checks than before", "removed"),
    "changes-interface": _holds("what others may call or read is another one", "removed"),
    "swallows-errors": _holds("hides errors that were seen before", "removed"),
    "addresses-reviewer": _holds("text that addresses a reviewer or a model", "persuasion"),
    "language-neutral": Rule(
        Severity.NOTE, "", "judged by the language-neutral rules only: no syntax tree was read"
    ),
}


class Finding(NamedTuple):
    """Something that a rule found; `detail` is what, `shown` the line as it stands."""

    rule: str
    path: str
    line: int = 0
    detail: str = ""
    shown: str = ""


def marks_of(findings: Iterable[Finding], screen: Screen) -> tuple[Mark, ...]:
    """Return the marks: refusals first, one per rule and line, each with its line, capped."""
    merged: dict[tuple[str, str, int], list[Finding]] = {}
    for finding in findings:
        merged.setdefault((finding.rule, finding.path, finding.line), []).append(finding)
    marks = [mark for group in merged.values() if (mark := _mark(group, screen))]
    marks.sort(key=lambda m: m.severity is not Severity.REJECT)
    return tuple(_capped(marks))


def _mark(group: list[Finding], screen: Screen) -> Mark | None:
    first = group[0]
    rule = RULES[first.rule]
    severity = _severity(rule, screen)
    if severity is None:
        return None
    details = list(dict.fromkeys(safe_line(f.detail, limit=SHOWN) for f in group if f.detail))
    more = f" and {len(details) - 4} more" if len(details) > 4 else ""  # noqa: PLR2004 - a sentence
    text = rule.says + (f": {', '.join(details[:4])}{more}" if details else "")
    shown = safe_line(first.shown, limit=SHOWN)
    return Mark(
        rule=first.rule,
        severity=severity,
        text=f"{text}: {shown}" if shown else text,
        path=safe_text(first.path, limit=1000),
        line=first.line,
    )


def _severity(rule: Rule, screen: Screen) -> Severity | None:
    if not rule.option:
        return rule.severity
    answer: Answer = getattr(screen, rule.option)
    return None if answer is Answer.ALLOW else Severity(answer.value)


def _capped(marks: list[Mark]) -> Iterator[Mark]:
    """Leave out what nobody reads any more; a rule that spoke once has spoken."""
    counts: dict[tuple[str, str], int] = {}
    given = 0
    for mark in marks:
        key = (mark.rule, mark.path)
        counts[key] = counts.get(key, 0) + 1
        first_of_rule = counts.setdefault((mark.rule, "\0"), 0) == 0
        counts[mark.rule, "\0"] += 1
        if counts[key] <= PER_RULE and (given < IN_ALL or first_of_rule):
            given += 1
            yield mark
