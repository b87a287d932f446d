"""Verdicts on candidates that change nothing, by the product's own path on this machine.

    .venv/bin/python scripts/bench/aa.py collect FILE [--verdicts 200] [--minutes 60]
    .venv/bin/python scripts/bench/aa.py judge FILE [--json]

The error rates of `verdict.py` come from recorded pairs with a coin thrown afterwards. Here nothing
is replayed: each candidate is a commit of its own that differs from its baseline in a text file
which nobody reads, and the local executor evaluates it as it would any other: exported and compiled
trees, the sandbox, a fresh process for each run, the coin before each pair, the sequential rule,
the confirmation. Every "improved" and every "regressed" is therefore false.

`collect` appends one line for each evaluation, whole and at once, so that what was measured is
never lost, and goes on where a file ends. `judge` has the governor answer again from the recorded
evaluations alone. Exit code 1 where an error rate is above what the rule promises by more than
three standard deviations.
"""

import argparse
import asyncio
import gzip
import json
import math
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import binomial
import msgspec
import pool as recorded
import table

from ouroboros.config import Config, parse
from ouroboros.evaluation.plan import Plan
from ouroboros.executors.local import LocalExecutor
from ouroboros.governor.decide import Evidence, decide
from ouroboros.model.evaluation import Evaluation, EvaluationStatus, Pair, Stage
from ouroboros.model.proposal import FileChange, FileStatus
from ouroboros.model.verdict import Comparison, Outcome
from ouroboros.sandbox import Sandbox
from ouroboros.vcs.repository import Repository

PYTHON = os.path.realpath(sys.executable)
UNREAD = "NOTES.txt"

PROGRAMS = {
    "loop": """\
def work(count):
    total = 0
    for number in range(count):
        total += number * number % 7
    return total


print(work(400_000))
""",
    "objects": """\
import json


class Item:
    def __init__(self, number):
        self.number, self.name = number, f"item {number}"


items = [Item(number) for number in range(15_000)]
text = json.dumps([vars(item) for item in items])
print(sum(one["number"] for one in json.loads(text)))
""",
}
"""About 50 ms each, start of the interpreter included: arithmetic, and objects with JSON."""


def configured(program: str) -> Config:
    """Return the usual rule for one program."""
    text = f"""
        [tests]
        framework = "command"
        command = ["true"]
        [benchmarks.{program}]
        command = ["{{python}}", "{program}.py"]
    """
    return parse(text.encode()).config


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the file."""

    program: str
    seed: int
    load: tuple[float, float]
    evaluation: Evaluation


# --- collect ------------------------------------------------------------------------------------


class Target:
    """A repository whose candidates change nothing that matters."""

    def __init__(self, root: Path) -> None:
        """Make it."""
        self.root = root
        root.mkdir()
        self._git("init", "-q", "-b", "main")
        for name, text in PROGRAMS.items():
            (root / f"{name}.py").write_text(text)
        self.base = self.commit("none yet")

    def commit(self, note: str) -> str:
        """Write the file that nobody reads; returns the commit."""
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
        candidate_commit=target.commit(secrets.token_hex(16)),
        changed=(UNREAD,),
        config=configured(program),
        python=PYTHON,
        seed=seed,
    )
    before = os.getloadavg()[0]
    evaluation = await executor.run(plan, lambda _: None)
    return Record(
        program=program, seed=seed, load=(before, os.getloadavg()[0]), evaluation=evaluation
    )


def _append(file: Path, record: Record) -> None:
    with file.open("ab") as out:
        out.write(msgspec.json.encode(record) + b"\n")
        out.flush()
        os.fsync(out.fileno())


def read(file: Path) -> list[Record]:
    """Return the lines of a file, plain or gzipped."""
    data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return [msgspec.json.decode(line, type=Record) for line in data.splitlines()]


# --- judge --------------------------------------------------------------------------------------


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate's answer."""

    program: str
    screen: Outcome
    guards: tuple[Outcome, ...]
    promoted: bool
    runs: int


def judged(record: Record) -> Judged:
    """Have the governor answer from the record alone."""
    change = FileChange(path=UNREAD, status=FileStatus.MODIFIED, added=1, removed=1)
    evidence = Evidence(
        evaluation=record.evaluation,
        files=(change,),
        marks=(),
        config=configured(record.program),
        config_hash="",
    )
    verdict = decide(evidence)
    screened = [c for c in verdict.comparisons if c.stage == Stage.SCREEN]
    return Judged(
        program=record.program,
        screen=_outcome(screened, "objective"),
        guards=tuple(c.outcome for c in screened if c.role == "guard"),
        promoted=verdict.wants_promotion,
        runs=2 * sum(len(s.pairs) for s in record.evaluation.series),
    )


def _outcome(comparisons: Sequence[Comparison], role: str) -> Outcome:
    (found,) = [c.outcome for c in comparisons if c.role == role]
    return found


PROMISES = (("improved in the screening", 0.05), ("improved and confirmed", 0.0025))
"""Nominal rates; a confirmation multiplies two of 5 %."""


def rows(verdicts: Sequence[Judged]) -> list[table.Row]:
    """Return the figures with their targets: rates in percent of the verdicts."""
    n = len(verdicts)
    counts = {
        "improved in the screening": sum(v.screen is Outcome.IMPROVED for v in verdicts),
        "improved and confirmed": sum(v.promoted for v in verdicts),
        "regressed by CPU time": sum(v.screen is Outcome.REGRESSED for v in verdicts),
        "regressed by a guard": sum(Outcome.REGRESSED in v.guards for v in verdicts),
    }
    promises = dict(PROMISES) | {"regressed by CPU time": 0.05, "regressed by a guard": 0.05}
    made = []
    for figure, count in counts.items():
        low, high = binomial.interval(count, n)
        limit = 100 * binomial.three_sigma(promises[figure], n)
        text = f"{figure}: {count} of {n} [{100 * low:.1f} .. {100 * high:.1f} %]"
        made.append(table.Row(text, "%", 100 * count / n, limit, samples=n))
    runs = [v.runs for v in verdicts]
    made.append(
        table.Row("runs of a candidate, mean", "runs", statistics.mean(runs), 70, samples=n)
    )
    return made


def noise(records: Sequence[Record]) -> list[table.Row]:
    """Return what the pairs looked like: noise, the coin, the place in the pair, the load."""
    made = []
    for program in PROGRAMS:
        pairs = [p for r in records if r.program == program for p in _screened(r)]
        if not pairs:
            continue
        for metric, of in (("cpu", _cpu), ("wall", _wall)):
            xs = [of(p) for p in pairs]
            figure = f"{program}: pair noise, {metric} (robust SD)"
            made.append(table.Row(figure, "%", 100 * robust_sd(xs), samples=len(xs)))
            first = [-x if p.candidate_first else x for x, p in zip(xs, pairs, strict=True)]
            text = f"{program}: second run of a pair against the first, {metric} (median)"
            made.append(
                table.Row(text, "%", 100 * math.expm1(statistics.median(first)), samples=len(xs))
            )
        cost = [p.baseline.cpu_ns / 1e6 for p in pairs]
        made.append(table.median(f"{program}: CPU time of a run", "ms", cost))
    coin = [p.candidate_first for r in records for p in _screened(r)]
    made.append(table.Row("candidate first", "%", 100 * statistics.mean(coin), samples=len(coin)))
    load = [average for r in records for average in r.load]
    made.append(table.median("load average (1 minute)", "", load))
    return made


def robust_sd(xs: Sequence[float]) -> float:
    """Return 1.4826 times the median absolute deviation."""
    middle = statistics.median(xs)
    return 1.4826 * statistics.median(abs(x - middle) for x in xs)


def _screened(record: Record) -> list[Pair]:
    return [p for s in record.evaluation.series if s.stage is Stage.SCREEN for p in s.pairs]


def _cpu(pair: Pair) -> float:
    return math.log(pair.candidate.cpu_ns / pair.baseline.cpu_ns)


def _wall(pair: Pair) -> float:
    return math.log(pair.candidate.wall_ns / pair.baseline.wall_ns)


def judge(file: Path, *, as_json: bool) -> int:
    """Print the table of a file; returns the exit code."""
    records = read(file)
    known = [r for r in records if r.evaluation.status is EvaluationStatus.OK]
    others = Counter(
        f"{r.evaluation.status}: {r.evaluation.cause}"
        for r in records
        if r.evaluation.status is not EvaluationStatus.OK
    )
    if not as_json:
        spans = [r.evaluation.started_ns / 1e9 for r in records]
        start, end = (time.strftime("%F %H:%M", time.gmtime(at)) for at in (spans[0], spans[-1]))
        print(f"{len(known)} verdicts, {start} to {end} UTC; {known[0].evaluation.machine}")
        for text, count in others.items():
            print(f"without a verdict: {count} x {text}")
    made = [*rows([judged(r) for r in known]), *noise(known)]
    return table.report(made, floor="floor", as_json=as_json)


def pool(file: Path, out: Path) -> None:
    """Write the screenings' pairs of a file as a pool for `verdict.py --pool`."""
    found: dict[str, list[Pair]] = {}
    for record in read(file):
        found.setdefault(record.program, []).extend(_screened(record))
    recorded.write(out, found)


def main() -> int:
    """Collect, judge, or write a pool; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    commands = parser.add_subparsers(dest="command", required=True)
    adds = commands.add_parser("collect")
    adds.add_argument("file", type=Path)
    adds.add_argument("--verdicts", type=int, default=200)
    adds.add_argument("--minutes", type=float, default=60)
    asks = commands.add_parser("judge")
    asks.add_argument("file", type=Path)
    asks.add_argument("--json", action="store_true")
    pools = commands.add_parser("pool")
    pools.add_argument("file", type=Path)
    pools.add_argument("out", type=Path)
    given = parser.parse_args()
    if given.command == "collect":
        until = time.monotonic() + 60 * given.minutes
        done = len(read(given.file)) if given.file.exists() else 0
        with tempfile.TemporaryDirectory(prefix="ouro-aa-") as name:
            folder = Path(name)
            folder.chmod(0o755)
            target, wanted = Target(folder / "target"), range(done, given.verdicts)
            done = asyncio.run(collect(target, folder / "trees", given.file, wanted, until))
        print(json.dumps({"verdicts": done}))
        return int(done < given.verdicts)
    if given.command == "pool":
        pool(given.file, given.out)
        return 0
    return judge(given.file, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
