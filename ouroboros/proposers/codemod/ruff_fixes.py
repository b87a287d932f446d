"""ruff's own fixes, one rule in one function at a time.

`ruff --fix` changes a whole file and every rule at once. What is wanted here is one idea, in the
function that costs; so ruff is asked for its findings as JSON, and the edits that belong to one
rule and start within the function's lines are carried out here. Edits elsewhere in the file come
along where a fix needs them (an import).

The text goes in by stdin: there is no copy of the target that could be left behind.
"""

import asyncio
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import ruff  # type: ignore[import-untyped]  # a binary with one function

from ouroboros.errors import ProposerError

SELECT = "PERF,FURB,C4,SIM,UP"

PRIORS: Mapping[str, float] = {
    "C419": 0.35,  # any([...]) -> any(...): ends at the first hit
    "FURB192": 0.4,  # sorted(xs)[0] -> min(xs)
    "C414": 0.25,  # set(sorted(xs)) -> set(xs)
    "SIM118": 0.15,  # k in d.keys() -> k in d
    "PERF101": 0.12,
    "PERF102": 0.12,
    "PERF401": 0.12,
    "PERF403": 0.12,
    "SIM110": 0.1,
    "C401": 0.1,
    "C403": 0.1,
    "C411": 0.1,
    "C413": 0.1,
    "C416": 0.1,
    "C417": 0.08,
    "SIM401": 0.06,
    "FURB171": 0.06,
    "SIM105": 0.04,
    "C408": 0.05,
    "UP032": 0.05,
}
"""Judgement, as for the transformations; in 15 real packages such fixes gave nothing at all."""

FAMILY_PRIORS: Mapping[str, float] = {"PERF": 0.08, "FURB": 0.04, "C": 0.05, "SIM": 0.02}
LEAST = 0.005
_OLDEST, _NEWEST, _DEFAULT = 7, 14, 9


class Place(msgspec.Struct, frozen=True):
    """1-based line and column; columns count characters."""

    row: int
    column: int


class Edit(msgspec.Struct, frozen=True):
    """What replaces the text between two places."""

    content: str
    location: Place
    end_location: Place


class Fix(msgspec.Struct, frozen=True):
    """The edits that belong together."""

    edits: tuple[Edit, ...]
    applicability: str


class Finding(msgspec.Struct, frozen=True):
    """One diagnostic."""

    code: str | None
    name: str
    message: str
    location: Place
    fix: Fix | None = None


def prior(code: str) -> float:
    """Return how promising a rule's fix is."""
    family = re.match(r"[A-Z]+", code)
    return PRIORS.get(code, FAMILY_PRIORS.get(family[0] if family else "", LEAST))


def target_version(tree: Path) -> str:
    """Return ruff's name of the oldest Python that the target says it supports."""
    try:
        project = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))
        wanted = str(project["project"]["requires-python"])
    except (OSError, ValueError, KeyError, TypeError):  # says nothing: an old enough guess
        return f"py3{_DEFAULT}"
    minors = [int(m) for m in re.findall(r"3\.(\d+)", wanted)]
    return f"py3{min(max(min(minors, default=_DEFAULT), _OLDEST), _NEWEST)}"


async def findings(text: str, path: str, version: str) -> tuple[Finding, ...]:
    """Return ruff's findings in a text.

    Raises:
        ProposerError: ruff cannot be run, or does not answer as expected.
    """
    command = [
        *("check", "--select", SELECT, "--isolated", "--unsafe-fixes", "--no-cache", "--quiet"),
        *("--exit-zero", "--output-format", "json", "--target-version", version),
        *("--stdin-filename", path, "-"),
    ]
    out = await _run(command, text.encode())
    try:
        return msgspec.json.decode(out, type=tuple[Finding, ...])
    except msgspec.DecodeError as error:
        raise ProposerError(f"ruff's answer on {path} is not understood: {error}.") from error


async def _run(arguments: Sequence[str], content: bytes) -> bytes:
    """Run ruff to its end; if the caller is cancelled, ruff is killed and waited for."""
    try:
        process = await asyncio.create_subprocess_exec(
            ruff.find_ruff_bin(),
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd="/",
        )
    except OSError as error:
        raise ProposerError(
            f"ruff cannot be run: {error}.", hint="Install ouroboros-daemon again."
        ) from error
    try:
        out, err = await process.communicate(content)
    except BaseException:
        if process.returncode is None:
            process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        said = err.decode(errors="replace").strip()[-500:]
        raise ProposerError(f"ruff ended with code {process.returncode}: {said}")
    return out


def by_rule(
    found: Iterable[Finding], first_line: int, last_line: int
) -> Iterator[tuple[str, str, tuple[Edit, ...]]]:
    """Yield rule, message and edits of each rule that has a fix within these lines."""
    rules: dict[str, tuple[str, list[Edit]]] = {}
    for finding in found:
        inside = first_line <= finding.location.row <= last_line
        if not inside or finding.code is None or finding.fix is None:
            continue
        _, edits = rules.setdefault(finding.code, (finding.message, []))
        if not any(_overlap(a, b) for a in finding.fix.edits for b in edits):
            edits.extend(finding.fix.edits)
    for code, (message, edits) in rules.items():
        yield code, message, tuple(edits)


def carry_out(text: str, edits: Sequence[Edit]) -> str:
    """Return the text with the edits made; equal insertions at one place are made once."""
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)

    def offset(place: Place) -> int:
        return starts[place.row - 1] + place.column - 1

    for edit in sorted(set(edits), key=lambda e: _key(e.location), reverse=True):
        text = text[: offset(edit.location)] + edit.content + text[offset(edit.end_location) :]
    return text


def _key(place: Place) -> tuple[int, int]:
    return place.row, place.column


def _overlap(a: Edit, b: Edit) -> bool:
    if a == b:
        return False
    return _key(a.location) < _key(b.end_location) and _key(b.location) < _key(a.end_location)
