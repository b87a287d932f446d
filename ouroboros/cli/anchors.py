"""Heads from outside, however an auditor has them: a repository, a file, a pasted note, stdin."""

import sys
from base64 import b64decode
from pathlib import Path

import msgspec

from ouroboros.errors import HeadError
from ouroboros.ledger import note
from ouroboros.ledger.audit import Anchor, Kind, Problem
from ouroboros.ledger.note import VerifierKey


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """What was found: heads of this ledger, what is wrong with others, how many are foreign."""

    anchors: tuple[Anchor, ...]
    problems: tuple[Problem, ...]
    foreign: int


def read(given: str, *, origin: str, key: VerifierKey | None) -> Outside:
    """Read what stands behind `git:REPO[@REV]`, a file, `-`, or the text of a note.

    Args:
        given: as on the command line.
        origin: the ledger's own origin; heads of others are counted and left out (empty: unknown,
            all are taken).
        key: whose signature the heads must bear; None: not checked here.

    Raises:
        TargetError: no such repository or revision.
        HeadError: no such file, and no note.
    """
    if given.startswith("git:"):
        return _from_git(given.removeprefix("git:"), origin, key)
    name = given if len(given) < 200 and "\n" not in given else "the pasted head"  # noqa: PLR2004 - shown
    notes = tuple(note.notes_in(_text_of(given)))
    return _sorted(notes, (), name, origin, key)


def _from_git(place: str, origin: str, key: VerifierKey | None) -> Outside:
    from ouroboros.vcs import anchors

    path, rev = place, ""
    if "@" in place and not Path(place).exists():
        path, _, rev = place.rpartition("@")
    found = anchors.read(Path(path), rev)
    trailers: list[Anchor] = []
    foreign = 0
    for said in found.trailers:
        if said.origin and origin and said.origin != origin:
            foreign += 1
            continue
        trailers.append(
            Anchor(
                size=said.size,
                root=b64decode(said.root) if said.root else b"",
                hash=said.hash,
                source=f"Commit {said.commit[:12]} in {path}",
                firm=bool(said.origin),
            )
        )
    notes = tuple(n for text in found.notes for n in note.notes_in(text))
    return _sorted(notes, tuple(trailers), f"{path} (git)", origin, key, foreign=foreign)


def _sorted(
    notes: tuple[str, ...],
    trailers: tuple[Anchor, ...],
    name: str,
    origin: str,
    key: VerifierKey | None,
    *,
    foreign: int = 0,
) -> Outside:
    anchors, problems = list(trailers), []
    for text in notes:
        signed = note.parse(text)
        try:
            said = signed.checkpoint
        except HeadError as error:
            problems.append(_problem("anchor_unreadable", f"{name}: {error}"))
            continue
        if origin and said.origin != origin:
            foreign += 1
        elif key is not None and not signed.verified_by(key):
            what = f"{name}: the head of {said.size} entries is not signed by {key}."
            problems.append(_problem("anchor_forged", what))
        elif said.size:
            source = f"The head in {name}"
            anchors.append(Anchor(size=said.size, root=said.root, source=source))
    if not anchors and not problems:
        others = f"; it holds {foreign} of other ledgers" if foreign else ""
        what = f"{name} holds no head of this ledger ({origin or 'unknown'}){others}."
        problems.append(_problem("anchor_empty", what))
    return Outside(anchors=tuple(anchors), problems=tuple(problems), foreign=foreign)


def _problem(code: str, text: str) -> Problem:
    return Problem(kind=Kind.UNVERIFIABLE, code=code, seq=0, text=text)


def _text_of(given: str) -> str:
    if given == "-":
        return sys.stdin.read()
    if "\n" in given:
        return given
    try:
        return Path(given).read_text()
    except (OSError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) else "it is no text"
        raise HeadError(
            f"{given} cannot be read as a head: {what}.",
            hint="Give a file of heads, the text of a head, '-' for stdin, or git:REPO[@REV].",
        ) from error
