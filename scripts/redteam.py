"""Attacks the product with our own catalogue, and prints the matrix attack x layer.

Every case goes through the real product: its own repository, engine, ledger and sandbox, in
autonomous mode. "Accepted" is what must not happen to an attack, "host" what must not happen to
the machine. The exit code is 1 if an attack was accepted, the host was reached, or a control went
wrong; with `--strict` also if the layer that must catch an attack did not.
"""

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

_MARKS = "x refuses   h asks for a human   e error   . sees nothing   - not asked   ! host reached"


def main() -> int:
    """Run the cases; returns the exit code."""
    options = _options()
    sys.path.insert(0, str(options.root / "tests" / "redteam"))
    import catalogue

    cases = list(catalogue.CASES)
    if options.quick:
        cases = [c for c in cases if c.quick]
    if options.case:
        known = {c.id: c for c in cases}
        if unknown := [name for name in options.case if name not in known]:
            print(f"error: no case is called {', '.join(unknown)}; see --list", file=sys.stderr)
            return 2
        cases = [known[name] for name in options.case]
    if options.list:
        for case in cases:
            number = f"#{case.number}" if case.number else "new"
            print(f"{case.id:30} {number:4} {case.layer or ' '.join(case.expect):10} {case.sketch}")
        return 0
    return asyncio.run(_run(options, cases))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/redteam", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="a subset, without layers apart")
    parser.add_argument("--case", nargs="+", metavar="ID", help="only these")
    parser.add_argument("--list", action="store_true", help="print the catalogue and leave")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--jobs", type=int, default=1, help="how many cases at once")
    parser.add_argument(
        "--final-only", action="store_true", help="do not run layers apart that were not reached"
    )
    parser.add_argument(
        "--strict", action="store_true", help="fail also where the named layer saw nothing"
    )
    return parser.parse_args()


async def _run(options: argparse.Namespace, cases: Sequence[object]) -> int:
    import redteam_run as run
    from redteam_world import range_

    begun = time.monotonic()
    results: list[run.Result] = []
    with range_() as place:
        async with run.opened(place, layers=not (options.final_only or options.quick)) as ready:
            gate = asyncio.Semaphore(options.jobs)

            async def one(case: object) -> None:
                async with gate:
                    results.append(await run.run_case(ready, case))
                    last = results[-1]
                    say = f"[{len(results)}/{len(cases)}] {last.id}: {last.final} {last.seconds} s"
                    print(say, *last.why[:2], sep="  ", file=sys.stderr, flush=True)

            async with asyncio.TaskGroup() as group:
                for case in cases:
                    group.create_task(one(case))
        left = run.leftovers(place)
    by_id = {r.id: r for r in results}
    summary = _summary(options, cases, by_id, left, time.monotonic() - begun)
    if options.json:
        rows = [msgspec.to_builtins(by_id[c.id]) | _about(c) for c in cases]
        print(json.dumps({"summary": summary, "cases": rows}, indent=1))
    else:
        _print(cases, by_id, summary)
    bad = summary["accepted"] or summary["host"] or summary["controls_wrong"] or summary["left"]
    return int(bool(bad or (options.strict and summary["missed"])))


def _about(case: object) -> dict[str, object]:
    names = ("title", "number", "layer", "sketch", "expect")
    return {name: getattr(case, name) for name in names}


def _summary(options, cases, by_id, left, seconds):  # noqa: ANN001, ANN202 - one caller, beside it
    attacks = [c for c in cases if not c.control]
    controls = [c for c in cases if c.control]
    wrong = [
        f"{c.id}: {by_id[c.id].final}, expected {' or '.join(c.expect)}"
        + ("".join(f"; {n}" for n in by_id[c.id].notes))
        for c in controls
        if by_id[c.id].final not in c.expect or by_id[c.id].notes
    ]
    return {
        "attacks": len(attacks),
        "accepted": [c.id for c in attacks if by_id[c.id].final == "ACCEPTED" and not c.open],
        "open": [c.id for c in attacks if by_id[c.id].final == "ACCEPTED" and c.open],
        "ends": dict(Counter(by_id[c.id].final for c in attacks)),
        "errored": [c.id for c in attacks if by_id[c.id].final not in _ENDS],
        "host": [f"{r.id}: {d}" for r in by_id.values() for d in r.damage],
        "missed": [
            f"{c.id}: {c.layer} saw nothing ({by_id[c.id].final})"
            for c in attacks
            if c.layer and by_id[c.id].cells[c.layer] not in {"x", "h", "-"}
        ],
        "controls": len(controls),
        "controls_wrong": wrong,
        "left": left,
        "machine": f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"uid {os.geteuid()}, Python {platform.python_version()}",
        "commit": _commit(options.root),
        "seconds": round(seconds),
    }


_ENDS = {"ACCEPTED", "REJECTED", "HELD", "REFUSED"}


def _commit(root: Path) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def _print(cases, by_id, summary) -> None:  # noqa: ANN001 - as above
    from redteam_run import COLUMNS

    width = max(len(c.id) for c in cases)
    print(f"{'case':{width}} {'no.':>4} " + " ".join(f"{c:>9}" for c in COLUMNS) + "  final")
    for case in cases:
        result = by_id[case.id]
        cells = (
            f"{'[' + result.cells[c] + ']' if c == case.layer else result.cells[c] + ' ':>9}"
            for c in COLUMNS
        )
        number = case.number or ("" if case.control else "new")
        note = "".join(f"  !! {text}" for text in (*result.damage, *result.notes))
        print(f"{case.id:{width}} {number!s:>4} {' '.join(cells)}  {result.final}{note}")
    print(f"\n{_MARKS}   [ ] the layer that must catch it\n")
    ends = ", ".join(f"{count} {end.lower()}" for end, count in sorted(summary["ends"].items()))
    print(f"attacks   {summary['attacks']}: {ends}")
    for key, text in (
        ("accepted", "ACCEPTED"),
        ("open", "accepted, as docs/security.md says of its kind"),
        ("host", "HOST REACHED"),
        ("errored", "ended in error"),
        ("missed", "not caught by its layer"),
        ("left", "LEFT BEHIND"),
    ):
        for line in summary[key]:
            print(f"          {text}: {line}")
    right = summary["controls"] - len(summary["controls_wrong"])
    print(f"controls  {right} of {summary['controls']} right")
    for line in summary["controls_wrong"]:
        print(f"          WRONG: {line}")
    print(f"machine   {summary['machine']}")
    print(f"commit    {summary['commit']}")
    print(f"duration  {summary['seconds']} s")


if __name__ == "__main__":
    sys.exit(main())
