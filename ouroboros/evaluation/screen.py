"""The shape gate: what a diff looks like, judged before anything of it runs. Pure.

It knows no language, only shapes that have no honest use in an optimization: protected files
(tests, benchmarks, configuration), symlinks and submodules, binary content, file modes, and
characters that a reviewer cannot see. What it finds is a `Mark`: `reject` ends the candidate,
`hold` brings it before a human whatever its numbers say.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from ouroboros.config import Governor
from ouroboros.model.globs import matches
from ouroboros.model.proposal import FileChange, FileStatus, Mark, Severity
from ouroboros.model.text import safe_text
from ouroboros.vcs.values import FileMode

PLAIN_MODES = frozenset({"100644", "100755", "000000"})
"""Regular file, executable file, absent."""


_CACHE = re.compile(
    r"\b(?:lru_cache|cached_property|cachedmethod|memoi[sz]e[d]?)\b|@(?:functools\.)?cache\b"
)
"""Caches passed every test and looked 60 % faster on a warm benchmark while being 3 times slower on
new inputs: the one false winner that a repeated benchmark cannot see."""


def screen(
    diff: str,
    files: Sequence[FileChange],
    modes: Sequence[FileMode],
    governor: Governor,
) -> tuple[Mark, ...]:
    """Return everything about the diff that refuses it or asks for a human."""
    return (
        *_paths(files, governor),
        *_modes(modes),
        *_contents(diff, files),
    )


def _paths(files: Sequence[FileChange], governor: Governor) -> Iterable[Mark]:
    for change in files:
        if matches(change.path, governor.protected):
            text = "protected file: tests, benchmarks and configuration judge the candidate"
            yield _reject("protected-path", text, change.path)
        if safe_text(change.path) != change.path or "\n" in change.path:
            yield _reject("path-characters", "control or invisible characters", change.path)
        if unicodedata.normalize("NFC", change.path) != change.path:
            yield _reject("path-characters", "not in Unicode normal form C", change.path)
        if change.status is FileStatus.DELETED:
            text = "the candidate deletes a file"
            yield Mark(rule="deletes-file", severity=Severity.HOLD, text=text, path=change.path)


def _modes(modes: Sequence[FileMode]) -> Iterable[Mark]:
    for mode in modes:
        if mode.new == "120000" or mode.old == "120000":
            yield _reject("symlink", "symbolic links are not allowed in a candidate", mode.path)
        elif mode.new == "160000" or mode.old == "160000":
            yield _reject("submodule", "submodules are not allowed in a candidate", mode.path)
        elif mode.new not in PLAIN_MODES:
            yield _reject("file-mode", f"file mode {mode.new} is not allowed", mode.path)
        elif mode.new == "100755" and mode.old != "100755":
            yield _reject("file-mode", "the candidate makes a file executable", mode.path)


def _contents(diff: str, files: Sequence[FileChange]) -> Iterable[Mark]:
    for change in files:
        if change.added < 0 or change.removed < 0:
            yield _reject("binary", "binary content cannot be reviewed", change.path)
    for path, number, line in _added_lines(diff):
        if safe_text(line) != line:
            text = f"control, bidirectional or invisible characters: {safe_text(line)[:120]}"
            yield _reject("hidden-characters", text, path, number)
        elif _CACHE.search(line):
            yield Mark(
                rule="adds-cache",
                severity=Severity.HOLD,
                text="adds a cache: faster on repeated input says nothing about input not seen "
                f"before, first calls and memory: {safe_text(line.strip())[:120]}",
                path=safe_text(path),
                line=number,
            )


def _added_lines(diff: str) -> Iterable[tuple[str, int, str]]:
    """Yield (path, line number in the new file, text) of every added line of a unified diff."""
    path, number, left = "", 0, 0
    for line in diff.split("\n"):
        if left <= 0 and line.startswith("+++ "):
            path = line[4:].split("\t")[0].strip('"').removeprefix("b/")
        elif line.startswith("@@"):
            number, left = _hunk(line)
        elif line.startswith("+"):
            yield path, number, line[1:].rstrip("\r")
            number += 1
            left -= 1
        elif line.startswith(" ") or line == "":
            number += 1
            left -= 1


def _hunk(header: str) -> tuple[int, int]:
    """Return first line and length of a hunk's new side: `@@ -a,b +c,d @@`."""
    new = header.split(" ")[2].lstrip("+") if header.count(" ") > 1 else "0"
    start, _, length = new.partition(",")
    if not start.isdigit() or (length and not length.isdigit()):
        return 0, 0
    return int(start), int(length or 1)


def _reject(rule: str, text: str, path: str, line: int = 0) -> Mark:
    return Mark(rule=rule, severity=Severity.REJECT, text=text, path=safe_text(path), line=line)
