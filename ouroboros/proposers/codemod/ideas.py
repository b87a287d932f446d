"""From hot functions to ideas, most promising first.

Promise = how hot the function is x what the transformation is worth a priori x how good the site
looks.

An idea's name holds no line number and no count of sites: it must stay the same when code above
it moves, and when the site before it in the same function has been promoted.
"""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import libcst as cst

from ouroboros.model.progress import HotSpot
from ouroboros.proposers.codemod import ruff_fixes
from ouroboros.proposers.codemod.catalogue import TRANSFORMATIONS
from ouroboros.proposers.codemod.depth import too_deep
from ouroboros.proposers.codemod.edits import apply
from ouroboros.proposers.codemod.function import Function
from ouroboros.proposers.codemod.index import Definition, Index, build
from ouroboros.proposers.codemod.transformation import Site

COLD = 0.01
"""Functions with less of the profile, callees included, cannot give a gain worth looking for."""

_LABEL = 40

Key = tuple[str, Definition]


@dataclass(frozen=True)
class Source:
    """A file as it was read, parsed once, and what ruff says about it."""

    path: str
    text: str
    index: Index
    findings: tuple[ruff_fixes.Finding, ...]


@dataclass(frozen=True)
class Hot:
    """A function and its heat."""

    source: Source
    definition: Definition
    heat: float


@dataclass(frozen=True)
class Idea:
    """A rewrite that can be carried out: a site of a transformation, or the edits of a rule."""

    name: str
    title: str
    rationale: str
    promise: float
    source: Source
    change: Site | tuple[ruff_fixes.Edit, ...]

    def text(self) -> str | None:
        """Return the file's new text, or None where it would not parse or change nothing."""
        source = self.source
        if isinstance(self.change, Site):
            new = apply(source.index, self.change.plan)
        else:
            new = ruff_fixes.carry_out(source.text, self.change)
        return new if new != source.text and parses(new) else None


def parse(path: str, text: str, findings: tuple[ruff_fixes.Finding, ...] = ()) -> Source | None:
    """Return a parsed file, or None where it is no Python that this interpreter understands."""
    try:
        module = ast.parse(text)
        if too_deep(module):
            return None
        tree = cst.parse_module(text)
        index = build(module, tree)
    except (cst.ParserSyntaxError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return Source(path, text, index, findings) if tree.code == text else None


def parses(text: str) -> bool:
    """Whether a text is Python."""
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def hottest(sources: Mapping[str, Source], spots: Iterable[HotSpot], limit: int) -> list[Hot]:
    """Return the functions that the profile names, hottest first.

    A comprehension or lambda that is profiled by itself counts for the function around it.
    """
    own: defaultdict[Key, float] = defaultdict(float)
    whole: defaultdict[Key, float] = defaultdict(float)
    for spot in spots:
        source = sources.get(spot.path)
        definition = _around(source.index, spot.line) if source else None
        if definition is not None:
            key = (spot.path, definition)
            own[key] += spot.share
            whole[key] = max(whole[key], spot.cumulative, own[key])
    named: defaultdict[str, float] = defaultdict(float)
    for (_, definition), cumulative in whole.items():
        named[definition.node.name.value] += cumulative
    found = [
        Hot(sources[path], definition, heat(own[path, definition], cumulative - elsewhere))
        for (path, definition), cumulative in whole.items()
        if cumulative >= COLD
        for elsewhere in [_below(sources[path].index, definition, named)]
    ]
    found.sort(key=lambda h: -h.heat)
    return found[:limit]


def heat(share: float, rest: float) -> float:
    """Return how much of the profile a function may answer for.

    `share` is its own time; `rest` is its time with callees, less that of the target's functions
    it calls: what remains is the interpreter's builtins and other people's libraries, which a
    profile books on them although this function asked for it.
    """
    return min(1.0, max(share, rest))


def _below(index: Index, definition: Definition, named: Mapping[str, float]) -> float:
    """Return the time of the profiled functions whose names stand in a function's body."""
    names = {n.value for n in index.each(definition.node.body, cst.Name)}
    return sum(named[name] for name in names - {definition.node.name.value} if name in named)


def _around(index: Index, line: int) -> Definition | None:
    around = [d for d in index.functions if d.first_line <= line <= d.last_line]
    return max(around, key=lambda d: d.first_line, default=None)


def ranked(functions: Sequence[Hot]) -> list[Idea]:
    """Return all ideas for the hot functions, most promising first."""
    ideas = [idea for hot in functions for idea in (*_sites(hot), *_rules(hot))]
    ideas.sort(key=lambda i: -i.promise)
    return ideas


def _sites(hot: Hot) -> Iterator[Idea]:
    function = Function(hot.source.index, hot.definition)
    for transformation in TRANSFORMATIONS:
        labels: Counter[str] = Counter()
        for site in transformation.find(function):
            label = _label(site.label)
            labels[label] += 1
            again = f"~{labels[label]}" if labels[label] > 1 else ""
            yield Idea(
                name=_name(hot, transformation.name, label + again),
                title=f"{site.title} in {hot.definition.qualname}",
                rationale=_rationale(hot, site.why, site.assumes),
                promise=hot.heat * transformation.prior * site.factor,
                source=hot.source,
                change=site,
            )


def _rules(hot: Hot) -> Iterator[Idea]:
    definition = hot.definition
    if "\r" in hot.source.text.replace("\r\n", ""):  # ruff counts lines differently then
        return
    found = ruff_fixes.by_rule(hot.source.findings, definition.first_line, definition.last_line)
    for code, message, edits in found:
        yield Idea(
            name=_name(hot, f"ruff-{code}", ""),
            title=f"{message.rstrip('.')} in {definition.qualname} ({code})",
            rationale=_rationale(
                hot,
                f"ruff's rule {code} finds: {message.rstrip('.')}. Its fix may save work.",
                "ruff's fix keeps the behaviour here; some of its fixes are marked unsafe",
            ),
            promise=hot.heat * ruff_fixes.prior(code),
            source=hot.source,
            change=edits,
        )


def _name(hot: Hot, kind: str, label: str) -> str:
    end = f":{label}" if label else ""
    return f"codemod:{kind}:{hot.source.path}:{hot.definition.qualname}{end}"


def _label(text: str) -> str:
    """Return a site's label as it may stand in a name: short, without spaces or strange signs."""
    return re.sub(r"[^A-Za-z0-9_.()\[\],'-]+", "_", text)[:_LABEL]


def _rationale(hot: Hot, why: str, assumes: str) -> str:
    where = f"{hot.definition.qualname} in {hot.source.path}"
    held = f" It must hold that {assumes}." if assumes else ""
    kept = held or " The preconditions checked in the code keep its behaviour."
    return f"{why}{kept} {where} weighs {hot.heat:.0%} of the benchmark's profile."
