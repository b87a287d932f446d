"""Runs a Python program under cProfile and sends the statistics over the private channel.

Usage: `_ouroboros_profile.py KIND TARGET ARG...`; KIND is `script`, `module` or `code`.
"""
# ruff: noqa: PTH100, PTH109, PTH120 - runs in the target's interpreter: quick to start

import cProfile
import os
import pstats
import runpy
import sys
from typing import Any

import _ouroboros_report as channel  # type: ignore[import-not-found] # beside this file, inside


def _run(kind: str, target: str) -> None:
    if kind == "script":
        sys.path[0] = os.path.dirname(os.path.abspath(target))
        runpy.run_path(target, run_name="__main__")
    elif kind == "module":
        sys.path[0] = os.getcwd()
        runpy.run_module(target, run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = ""
        exec(compile(target, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102


def _send(profile: cProfile.Profile) -> None:
    tree = os.path.realpath(os.environ["OUROBOROS_TREE"]) + os.sep
    rows, total = [], 0.0
    stats: Any = pstats.Stats(profile)
    for (file, line, name), (_, calls, own, cumulative, _) in stats.stats.items():
        total += own
        path = os.path.realpath(file)
        if path.startswith(tree) and not file.startswith("<"):
            rows.append([path[len(tree) :], line, name, calls, own, cumulative])
    channel.write({"kind": "profile", "total": total, "rows": rows})


def main() -> None:
    """Run the program, send the profile, exit as the program did."""
    kind, target = sys.argv[1:3]
    sys.argv = ([target] if kind == "script" else ["-m" if kind == "module" else "-c"]) + sys.argv[
        3:
    ]
    profile = cProfile.Profile(builtins=False)  # their time is their caller's, who can avoid it
    status: Any = 0
    profile.enable()
    try:
        _run(kind, target)
    except SystemExit as stop:
        status = stop.code
    finally:
        profile.disable()
    _send(profile)
    sys.exit(status)


if __name__ == "__main__":
    main()
