"""Kills a real engine with SIGKILL everywhere, starts it again, and compares with an uncrashed run.

Cases: before and after every append to the ledger, within every promotion and rollback, at calls
of git, of the journal of pairs and of evidence, in every step of recovery, and (`--random`) at
random instants with several candidates in flight, also killing all or one of the processes that
the engine started.

After each kill: no process outlives the engine by 5 s, everything that was acknowledged is in a
ledger that verifies, `git fsck` is clean. After the restart the same script is played to its end:
phases, reasons, versions, history, files and counts of events must be those of an uncrashed run,
every pair that was kept is in an evaluation, and nothing is left in temporary folders, control
groups, caches and `.git`. The exit code is 1 if anything of that does not hold.
"""

import argparse
import json
import multiprocessing
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from crash_matrix import Case, Result
    from crash_world import Outcome


def main() -> int:
    """Run the cases; returns the exit code."""
    options = _options()
    sys.path[:0] = [str(options.root), str(options.root / "tests" / "support")]
    import crash_matrix as crash

    begun = time.monotonic()
    expected, counts = crash.reference()
    cases = crash.quick(counts) if options.quick else crash.matrix(counts)
    if options.only_random:
        cases = []
    if options.group:
        cases = [c for c in cases if c.group in options.group]
    cases += crash.randoms(options.random, options.seed)
    results = _run(cases, expected, jobs=options.jobs)
    seconds = time.monotonic() - begun
    if options.json:
        print(_json(results, seconds))
    else:
        print(_table(results, seconds, options))
    return 1 if any(r.problem for r in results) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/crash", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="a few named places only")
    parser.add_argument("--group", nargs="+", metavar="NAME", help="only these groups")
    parser.add_argument("--random", type=int, default=0, metavar="N", help="N random cases besides")
    parser.add_argument("--only-random", action="store_true", help="no named places")
    parser.add_argument("--seed", type=int, default=1, help="of the first random case")
    parser.add_argument("--jobs", type=int, default=1, help="how many cases at once")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser.parse_args()


def _run(cases: "Sequence[Case]", expected: "Outcome", *, jobs: int) -> "list[Result]":
    import crash_matrix as crash

    results: list[Result] = []
    # In any order but that of the groups, so that a run that is interrupted has seen all of them.
    shuffled = random.Random(1).sample(list(cases), len(cases))  # noqa: S311 - an order
    # Workers are forked before any thread is started, and fork their engines themselves.
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        done = pool.imap_unordered(partial(crash.run_case, expected=expected), shuffled)
        try:
            for result in done:
                results.append(result)
                _progress(result, len(results), len(cases))
        except KeyboardInterrupt:
            print(f"interrupted after {len(results)} of {len(cases)} cases", file=sys.stderr)
    return results


def _progress(result: "Result", number: int, total: int) -> None:
    mark = f"BROKEN: {result.problem}" if result.problem else "holds"
    where = f"{result.group}: {result.name}"
    print(
        f"[{number}/{total}] {result.seconds:5.1f} s  {where}: {mark}", file=sys.stderr, flush=True
    )


def _table(results: "list[Result]", seconds: float, options: argparse.Namespace) -> str:
    head = ("group", "cases", "held", "kills", "entries", "evaluations", "pairs", "pairs kept")
    rows = [head, ("---", *["---:"] * (len(head) - 1))]
    groups = list(dict.fromkeys(r.group for r in results))
    for name in (*groups, "all"):
        mine = [r for r in results if name in {r.group, "all"}]
        rows.append(
            (
                name,
                str(len(mine)),
                str(sum(not r.problem for r in mine)),
                *(
                    str(sum(getattr(r, field) for r in mine))
                    for field in ("kills", "entries", "evaluations", "pairs", "resumed")
                ),
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    broken = [f"BROKEN {r.group}: {r.name}: {r.problem}" for r in results if r.problem]
    about = f"{_commit(options.root)}, {_machine()}, {seconds:.0f} s, {options.jobs} at once"
    return "\n".join([*lines, "", about, *broken])


def _json(results: "list[Result]", seconds: float) -> str:
    report = {"seconds": seconds, "machine": _machine(), "cases": msgspec.to_builtins(results)}
    return json.dumps(report, indent=1)


def _commit(root: Path) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"commit {done.stdout.strip() or 'unknown'}"


def _machine() -> str:
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    sys.exit(main())
