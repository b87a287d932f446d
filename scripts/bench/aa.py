"""Verdicts on candidates of a known effect, by the product's own path on this machine.

    .venv/bin/python scripts/bench/aa.py collect FILE [--work 1.0] [--verdicts 200] [--minutes 60]
    .venv/bin/python scripts/bench/aa.py judge FILE [--json]
    .venv/bin/python scripts/bench/aa.py pool FILE OUT.csv.gz

The error rates of `verdict.py` come from recorded pairs with a coin thrown afterwards. Here nothing
is replayed: each candidate is a commit of its own, and the local executor evaluates it as it would
any other: exported and compiled trees, the sandbox, a fresh process for each run, the coin before
each pair, the sequential rule, the confirmation. Usually a candidate differs from its baseline in a
text file which nobody reads (A/A), so that every "improved" and every "regressed" is false. With
`--work` it does so many times the baseline's work; since starting the interpreter is not part of
that, its true effect is what all pairs together show.

`collect` appends one line for each evaluation, whole and at once, so that what was measured is
never lost, and goes on where a file ends. `judge` has the governor answer again from the recorded
evaluations alone. Exit code 1 where an error rate is above what the rule promises by more than
three standard deviations.
"""

import argparse
import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import answers
import msgspec
from answers import PROGRAMS, UNREAD, Record, configured

from ouroboros.evaluation.plan import Plan
from ouroboros.executors.local import LocalExecutor
from ouroboros.sandbox import Sandbox
from ouroboros.vcs.repository import Repository

PYTHON = os.path.realpath(sys.executable)


class Target:
    """A repository whose candidates are all the same, but for a note."""

    def __init__(self, root: Path, work: float) -> None:
        """Make it.

        Args:
            root: a new folder.
            work: of a candidate, as a multiple of the baseline's.
        """
        self.root = root
        self.work = work
        root.mkdir()
        self._git("init", "-q", "-b", "main")
        self.base = self._commit("none yet", 1.0)
        self.changed = (UNREAD,) if work == 1 else (UNREAD, *(f"{name}.py" for name in PROGRAMS))

    def candidate(self) -> str:
        """Make a new one; returns the commit."""
        return self._commit(secrets.token_hex(16), self.work)

    def _commit(self, note: str, work: float) -> str:
        for name, program in PROGRAMS.items():
            text = program.text.replace("COUNT", str(round(program.count * work)))
            (self.root / f"{name}.py").write_text(text)
        (self.root / UNREAD).write_text(f"{note}\n")
        self._git("add", "-A")
        self._git("commit", "-q", "-m", "note")
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *args: str) -> str:
        identity = ["-c", "user.name=B", "-c", "user.email=b@localhost"]
        command = ["git", "-C", str(self.root), *identity, *args]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


async def collect(target: Target, trees: Path, out: Path, wanted: range, until: float) -> int:
    """Evaluate until there are enough verdicts, or the time is up.

    Args:
        target: the repository.
        trees: a folder for exported trees.
        out: lines are appended to it.
        wanted: the numbers of the verdicts.
        until: by the monotonic clock.

    Returns:
        How many there are.
    """
    executor = LocalExecutor(
        sandbox=await Sandbox.open(configured("loop").sandbox),
        export=Repository.open(target.root).export,
        put_evidence=lambda _: "",
        cache=trees,
    )
    try:
        for number in wanted:
            if time.monotonic() > until:
                return number
            _append(out, await _one(executor, target, number))
    finally:
        await executor.close()
    return wanted.stop


async def _one(executor: LocalExecutor, target: Target, number: int) -> Record:
    program = list(PROGRAMS)[number % len(PROGRAMS)]
    seed = secrets.randbits(63)
    plan = Plan(
        candidate=f"c{number}",
        attempt=1,
        repository=str(target.root),
        base_commit=target.base,
        candidate_commit=target.candidate(),
        changed=target.changed,
        config=configured(program),
        python=PYTHON,
        seed=seed,
    )
    before = os.getloadavg()[0]
    evaluation = await executor.run(plan, lambda _: None)
    load = (before, os.getloadavg()[0])
    return Record(program=program, seed=seed, load=load, evaluation=evaluation, work=target.work)


def _append(file: Path, record: Record) -> None:
    with file.open("ab") as out:
        out.write(msgspec.json.encode(record) + b"\n")
        out.flush()
        os.fsync(out.fileno())


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    commands = parser.add_subparsers(dest="command", required=True)
    adds = commands.add_parser("collect")
    adds.add_argument("file", type=Path)
    adds.add_argument("--work", type=float, default=1.0)
    adds.add_argument("--verdicts", type=int, default=200)
    adds.add_argument("--minutes", type=float, default=60)
    asks = commands.add_parser("judge")
    asks.add_argument("file", type=Path)
    asks.add_argument("--json", action="store_true")
    pools = commands.add_parser("pool")
    pools.add_argument("file", type=Path)
    pools.add_argument("out", type=Path)
    return parser.parse_args()


def main() -> int:
    """Collect, judge, or write a pool; return the exit code."""
    given = arguments()
    if given.command == "pool":
        answers.pool(given.file, given.out)
        return 0
    if given.command == "judge":
        return answers.judge(given.file, as_json=given.json)
    until = time.monotonic() + 60 * given.minutes
    known = len(answers.read(given.file)) if given.file.exists() else 0
    with tempfile.TemporaryDirectory(prefix="ouro-aa-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # runs as root drop to a user who must get in
        target, wanted = Target(folder / "target", given.work), range(known, given.verdicts)
        done = asyncio.run(collect(target, folder / "trees", given.file, wanted, until))
    print(json.dumps({"verdicts": max(known, done)}))
    return int(done < given.verdicts)


if __name__ == "__main__":
    sys.exit(main())
