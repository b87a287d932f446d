"""The ledger's heads in git: a second record, in a place that people clone and push.

`refs/ouroboros/heads` is a chain of commits; each has one signed head as its message and as the
file `head`. It is moved by compare-and-swap only, so that two engines cannot drop each other's.
Promotions and rollbacks carry the ledger's head in trailers as well: whoever has the branch has
those. This room knows no ledger: heads are text here.
"""

import re
from pathlib import Path
from typing import NamedTuple

from ouroboros.errors import TargetError
from ouroboros.model.text import safe_line
from ouroboros.vcs.runner import Git

HEADS = "refs/ouroboros/heads"
LEDGER_TRAILER = "Ouroboros-Ledger"
HEAD_TRAILER = "Ouroboros-Ledger-Head"
ROOT_TRAILER = "Ouroboros-Ledger-Root"

_TRAILER = re.compile(
    rf"^({LEDGER_TRAILER}|{HEAD_TRAILER}|{ROOT_TRAILER}): ?(\S{{1,300}})[ \t]*$", re.MULTILINE
)
_HEAD = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})")


class Trailer(NamedTuple):
    """The ledger's head as a commit of the branch tells it.

    `origin` and `root` (base64) are empty in commits of older versions.
    """

    commit: str
    origin: str
    size: int
    hash: str
    root: str


class Anchors(NamedTuple):
    """Everything that a repository says about ledgers."""

    notes: tuple[str, ...]
    trailers: tuple[Trailer, ...]


def keep(git: Git, note: str, *, seconds: int) -> str:
    """Add a signed head to the chain and return its commit; the newest again changes nothing.

    Raises:
        GitError: somebody else moved the ref meanwhile, or git failed.
    """
    found = git.run("rev-parse", "--verify", "--quiet", HEADS, ok=(0, 1))
    old = "" if found.status else found.line
    if old and git.run("log", "-1", "--format=%B", old).line.strip() == note.strip():
        return old
    blob = git.run("hash-object", "-w", "--stdin", stdin=note.encode()).line
    tree = git.run("mktree", stdin=f"100644 blob {blob}\thead\n".encode()).line
    date = f"@{seconds} +0000"
    commit = git.run(
        "commit-tree",
        *(("-p", old) if old else ()),
        "-F",
        "-",
        tree,
        stdin=note.encode(),
        extra={"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date},
    ).line
    git.run("update-ref", HEADS, commit, old or "0" * len(commit))
    return commit


def read(path: Path, rev: str = "") -> Anchors:
    """Return the heads that a repository holds, bare or not.

    Args:
        path: the repository, or a folder inside of it.
        rev: look only at the history of this commit, branch or ref (empty: at all of them).

    Raises:
        TargetError: no repository, or nothing of that name in it.
    """
    git = _open(path)
    tips = (_resolved(git, path, rev),) if rev else ("--all",)
    fields = git.run("log", "-z", "--no-show-signature", "--format=%H%n%B", *tips, "--").out
    notes: list[str] = []
    trailers: list[Trailer] = []
    for record in fields.decode("utf-8", "replace").split("\0"):
        commit, _, message = record.partition("\n")
        if "\n\n— " in message:
            notes.append(message)
        elif f"\n{HEAD_TRAILER}: " in message:
            trailers += _trailer(commit, message)
    return Anchors(notes=tuple(reversed(notes)), trailers=tuple(reversed(trailers)))


def _trailer(commit: str, message: str) -> list[Trailer]:
    """Read the trailers of the last paragraph, the only one in which they count."""
    found = dict(_TRAILER.findall(message.rstrip().rpartition("\n\n")[2]))
    head = _HEAD.fullmatch(found.get(HEAD_TRAILER, ""))
    if head is None:
        return []
    origin, root = found.get(LEDGER_TRAILER, ""), found.get(ROOT_TRAILER, "")
    return [Trailer(commit=commit, origin=origin, size=int(head[1]), hash=head[2], root=root)]


def _resolved(git: Git, path: Path, rev: str) -> str:
    output = git.run(
        "rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}", ok=(0, 1, 128)
    )
    if output.status:
        raise TargetError(
            f"'{safe_line(rev)}' names no commit of {path}.",
            hint="'git for-each-ref' lists what there is.",
        )
    return output.line


def _open(path: Path) -> Git:
    if path.is_dir():
        finder = Git(directory=None, work_tree=path, user=True)
        found = finder.run("rev-parse", "--path-format=absolute", "--git-common-dir", ok=(0, 128))
        if found.status == 0:
            return Git(directory=Path(found.line))
    raise TargetError(
        f"{path} is not in a git repository.", hint="Name a clone of the target: git:PATH."
    )
