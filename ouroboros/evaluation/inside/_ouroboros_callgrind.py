"""Runs a program under callgrind and reports how many instructions all its processes executed.

Usage: `_ouroboros_callgrind.py VALGRIND PROGRAM ARG...`. The result goes over the private
channel as `{"instructions": N, "processes": N}`; the exit code is the program's.

Each process writes a file of its own into a folder, since programs that are started on the way
close the descriptors that they do not know. Neither files nor channel are out of the program's
reach: it runs as the same user.
"""
# ruff: noqa: PTH123, PTH207 - runs in the target's interpreter: old, and quick to start

import glob
import json
import os
import signal
import subprocess
import sys
import tempfile


def main() -> int:
    """Run, add up, report."""
    valgrind, program = sys.argv[1], sys.argv[2:]
    with tempfile.TemporaryDirectory(prefix="callgrind-") as folder:
        line = [
            valgrind,
            "--tool=callgrind",
            "--quiet",
            "--vgdb=no",
            "--trace-children=yes",
            f"--callgrind-out-file={folder}/out.%p",
            *program,
        ]
        code = subprocess.call(line)  # closes the channel to it
        counts = [_total(path) for path in glob.glob(f"{folder}/out.*")]
    told = {"instructions": sum(counts), "processes": len(counts)}
    os.write(int(os.environ["OUROBOROS_RESULT_FD"]), json.dumps(told).encode())
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def _total(path: str) -> int:
    """Return what a file of callgrind's says that its process executed."""
    with open(path, "rb") as file:
        for line in file:
            if line.startswith(b"totals:"):
                return int(line.split()[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
