"""What a diff looks like, whatever language it is in: types, sizes, counts. Pure."""

from collections.abc import Iterator, Sequence

from ouroboros.evaluation.screen.marks import Finding
from ouroboros.model.proposal import FileChange
from ouroboros.vcs.values import FileMode

PLAIN_MODES = frozenset({"100644", "100755", "000000"})
"""Regular file, executable file, absent."""


def modes(found: Sequence[FileMode]) -> Iterator[Finding]:
    """Find whatever is not a plain file that stays what it was."""
    for mode in found:
        if "120000" in {mode.new, mode.old}:
            yield Finding("symlink", mode.path)
        elif "160000" in {mode.new, mode.old}:
            yield Finding("submodule", mode.path)
        elif mode.new not in PLAIN_MODES:
            yield Finding("file-mode", mode.path, detail=f"{mode.new} is not allowed")
        elif mode.new == "100755" and mode.old != "100755":
            yield Finding("file-mode", mode.path, detail="the candidate makes a file executable")


def counts(files: Sequence[FileChange]) -> Iterator[Finding]:
    """Find files that git calls binary."""
    for change in files:
        if change.added < 0 or change.removed < 0:
            yield Finding("binary", change.path)


def size(diff: str, limit: int) -> Iterator[Finding]:
    """Find a diff that is too large to be read, or that holds nothing at all."""
    length = len(diff.encode("utf-8", "surrogatepass"))
    if length > limit:
        yield Finding("diff-size", "", detail=f"{length} bytes, at most {limit}")
    elif not diff.strip():
        yield Finding("empty-diff", "")


def packed(diff: str) -> Iterator[Finding]:
    """Find compressed content: a diff of 1 KiB can unpack to gigabytes."""
    if any(line.startswith("GIT binary patch") for line in diff.split("\n")):
        yield Finding("binary", "", detail="the diff holds a binary patch")
