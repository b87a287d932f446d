"""Does any test or challenge execute the code that a candidate replaces?

Passing tests say nothing about lines that none of them runs: a candidate that drops an untested
feature is faster and passes everything. So the baseline's tests run once more per commit with line
coverage, and the changed lines of the baseline are looked up in it. This is asked of the baseline
alone, where no code of the candidate runs, so that the answer cannot be forged.

What a challenge calls on the baseline counts as executed, too. What was not executed is recorded
with the evaluation, and policy brings it before a human.
"""

import difflib
from collections.abc import Iterable
from pathlib import Path

from ouroboros.evaluation.records import Coverage

UNKNOWN = "unknown: the tests could not be run with line coverage"


def replaced_lines(before: str, after: str) -> set[int]:
    """Return the numbers of the lines of `before` that are no longer what runs in `after`.

    An insertion stands for the line that follows it: who inserts `return` before a line has changed
    whether it runs.
    """
    old, new = before.splitlines(), after.splitlines()
    found: set[int] = set()
    for tag, start, end, _, _ in difflib.SequenceMatcher(a=old, b=new).get_opcodes():
        if tag == "insert":
            found.add(min(start + 1, len(old)))
        elif tag != "equal":
            found.update(range(start + 1, end + 1))
    return found


def untested(replaced: dict[str, set[int]], reports: Iterable[Coverage]) -> tuple[str, ...]:
    """Return `path:line` of replaced lines that can be executed and were not.

    A file that no test has loaded counts with its first replaced line.
    """
    executed: dict[str, set[int]] = {}
    executable: dict[str, set[int]] = {}
    for report in reports:
        for path, (seen, possible) in report.files.items():
            executed.setdefault(path, set()).update(seen)
            executable.setdefault(path, set()).update(possible)
    found: list[str] = []
    for path, lines in sorted(replaced.items()):
        if path not in executable:
            found += [f"{path}:{min(lines)}"] if lines else []
            continue
        missed = sorted((lines & executable[path]) - executed[path])
        found += [f"{path}:{line}" for line in missed]
    return tuple(found)


def of_trees(
    base: Path, candidate: Path, changed: Iterable[str], reports: Iterable[Coverage]
) -> tuple[str, ...]:
    """Return what no test of the baseline executes of the code that a candidate replaces. Blocking.

    Args:
        base: the baseline's tree.
        candidate: the candidate's tree.
        changed: paths that differ, relative to the trees.
        reports: what the baseline's tests executed.
    """
    replaced = {}
    for path in changed:
        if not path.endswith(".py") or not (base / path).is_file():
            continue  # a new file replaces nothing
        before = (base / path).read_text(errors="replace")
        new = candidate / path
        after = new.read_text(errors="replace") if new.is_file() else ""
        replaced[path] = replaced_lines(before, after)
    return untested(replaced, reports)
