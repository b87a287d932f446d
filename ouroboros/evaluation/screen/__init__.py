"""The shape gate: what a diff looks like, judged before anything of it runs. Pure.

Three questions, in this order of certainty:

- **Has it a shape without an honest use?** Links, submodules, modes, binary content, files that
  judge it, names that shadow others, paths that are read differently elsewhere, characters that a
  reviewer cannot see: refused, whatever the configuration says.
- **Does it reach further than before?** Python is read as a syntax tree, before and after, and only
  what is new counts: modules, files, processes, the clock, frames, operators, foreign attributes,
  state between calls, work at import, checks that are gone. Held for a human, line by line.
- **Does it speak to whoever judges it?** Held: nothing here is decided by such words.

An honest optimization gets no mark at all; the tests hold it to that as strictly as to the rest.
All of it is a filter, and code can be written that no reading sees through: what is believed of a
candidate is measured outside of it. The rules by name: `marks.RULES`, in prose `docs/screen.md`.

Input is hostile. Sizes are bounded before anything is parsed, and whatever cannot be read ends in a
mark; should a rule itself fail, that is a mark as well, since a crash would let the rest pass.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from ouroboros.config import Config
from ouroboros.evaluation.screen import (
    caches,
    identifiers,
    languages,
    paths,
    persuasion,
    python,
    shapes,
    text,
)
from ouroboros.evaluation.screen.lines import new_lines
from ouroboros.evaluation.screen.lines import outside as lines_outside
from ouroboros.evaluation.screen.marks import Finding, marks_of
from ouroboros.model.proposal import FileChange, Mark
from ouroboros.vcs.values import FileMode, Source

__all__ = ["Source", "screen", "screen_text"]

SOURCE_LIMIT = 4 << 20
"""Bytes of one side of a changed file that are read; beyond them only the diff's lines are."""
SOURCES_LIMIT = 64 << 20
"""Bytes of all of them together."""
TREES_LIMIT = 2 << 20
"""Bytes of Python, before and after, that are read as syntax trees for one candidate."""


def screen_text(diff: str, config: Config) -> tuple[Mark, ...]:
    """Judge a diff as text, before git reads it: a small one can unpack to gigabytes."""
    limit = config.screen.max_bytes
    return marks_of([*shapes.size(diff, limit), *shapes.packed(diff)], config.screen)


def screen(
    diff: str,
    files: Sequence[FileChange],
    modes: Sequence[FileMode],
    sources: Sequence[Source],
    *,
    config: Config,
    tracked: Sequence[str] = (),
) -> tuple[Mark, ...]:
    """Return everything about a diff that refuses it, or asks for a human, or should be said.

    Args:
        diff: the unified diff.
        files: what it changes, with counts.
        modes: file types on both sides.
        sources: contents on both sides.
        config: the whole configuration; `[screen]` and `[governor]` decide.
        tracked: all paths of the commit on which the candidate is built.
    """
    early = screen_text(diff, config)
    if early:
        return early
    return marks_of(
        _findings(diff, files, modes, sources, config=config, tracked=tracked), config.screen
    )


def _findings(
    diff: str,
    files: Sequence[FileChange],
    modes: Sequence[FileMode],
    sources: Sequence[Source],
    *,
    config: Config,
    tracked: Sequence[str],
) -> Iterator[Finding]:
    lines = new_lines(diff, sources)
    outside = list(lines_outside(diff))
    if not files:
        yield Finding("empty-diff", "")
    yield from shapes.modes(modes)
    yield from shapes.counts(files)
    for change in files:
        yield from paths.shape(change)
        yield from paths.protected(change, config)
    yield from paths.collisions(files, tracked)
    yield from paths.shadows(files, tracked, config)
    yield from paths.twins(files, tracked)
    yield from paths.repositories(files, tracked)
    yield from text.characters([*lines, *outside])
    yield from persuasion.persuasion([*lines, *outside])
    yield from caches.caches(lines)
    yield from languages.others(sources, lines)
    python_files = {
        s.path: s.after or b"" for s in sources if languages.is_python(s.path, s.after or b"")
    }
    yield from _guarded("", lambda: identifiers.lookalikes(lines, python_files))
    contents = {s.path: s.after or s.before or b"" for s in sources}
    for change in files:
        yield from paths.data(change, contents.get(change.path, b""), config)
    own = _own(files, tracked, config)
    left = TREES_LIMIT
    for source in sources:
        yield from text.contents(source)
        left -= len(source.before or b"") + len(source.after or b"")
        yield from _one(source, own, config, readable=left >= 0)


def _one(
    source: Source, own: frozenset[str], config: Config, *, readable: bool
) -> Iterator[Finding]:
    is_python = source.after is not None and languages.is_python(source.path, source.after)
    if not source.whole or (is_python and not readable):
        yield Finding("not-understood", source.path, detail="too large, or no plain file")
    elif is_python:
        yield from _guarded(source.path, lambda: python.changed(source, own, config.screen))


def _guarded(path: str, find: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Ask a rule that reads a syntax tree; if it fails, that it failed is the finding."""
    try:
        found = list(find())
    except (RecursionError, MemoryError):
        yield Finding("not-understood", path, detail="nested too deep")
    except Exception as error:  # noqa: BLE001 - the edge: what no rule understood is held
        yield Finding("not-understood", path, detail=f"a rule failed: {type(error).__name__}")
    else:
        yield from found


def _own(files: Sequence[FileChange], tracked: Sequence[str], config: Config) -> frozenset[str]:
    """Return the top-level names that are modules of the target."""
    roots = paths.import_roots(config)
    every = (*tracked, *(f.path for f in files))
    return frozenset(paths.module_at(path, root) for path in every for root in roots) - {""}
