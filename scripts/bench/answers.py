"""What the governor answers to recorded evaluations, and what their pairs look like; for `aa.py`.

Where all candidates do the same work as their baseline, every gain and every loss is false, and
the rates have targets.
"""

import gzip
import math
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import binomial
import msgspec
import pool as recorded
import table

from ouroboros.config import Config, parse
from ouroboros.governor.decide import Evidence, decide
from ouroboros.governor.eprocess import hodges_lehmann, robust_sd
from ouroboros.model.evaluation import Evaluation, EvaluationStatus, Pair, Stage
from ouroboros.model.proposal import FileChange, FileStatus
from ouroboros.model.verdict import Outcome

UNREAD = "NOTES.txt"


class Program(NamedTuple):
    """A benchmark: its text, and how often it does its work."""

    text: str
    count: int


PROGRAMS = {
    "loop": Program(
        """\
def work(count):
    total = 0
    for number in range(count):
        total += number * number % 7
    return total


print(work(COUNT))
""",
        400_000,
    ),
    "objects": Program(
        """\
import json


class Item:
    def __init__(self, number):
        self.number, self.name = number, f"item {number}"


items = [Item(number) for number in range(COUNT)]
text = json.dumps([vars(item) for item in items])
print(sum(one["number"] for one in json.loads(text)))
""",
        15_000,
    ),
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
    work: float = 1.0
    """Of the candidate, as a multiple of the baseline's."""


def read(file: Path) -> list[Record]:
    """Return the lines of a file, plain or gzipped."""
    data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return [msgspec.json.decode(line, type=Record) for line in data.splitlines()]


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate's answer: of the screening, of its guards, and of the whole verdict."""

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
    (objective,) = [c.outcome for c in screened if c.role == "objective"]
    return Judged(
        screen=objective,
        guards=tuple(c.outcome for c in screened if c.role == "guard"),
        promoted=verdict.wants_promotion,
        runs=2 * sum(len(s.pairs) for s in record.evaluation.series),
    )


# --- figures ------------------------------------------------------------------------------------

PROMISES = {
    "improved in the screening": 0.05,
    "improved and confirmed": 0.0025,
    "regressed by CPU time": 0.05,
    "regressed by a guard": 0.05,
}
"""Nominal rates where nothing changed; a confirmation multiplies two of 5 %."""


def rates(verdicts: Sequence[Judged], *, null: bool) -> list[table.Row]:
    """Return how often what was answered, in percent with bounds of 95 %.

    Args:
        verdicts: of one kind of candidates.
        null: whether they change nothing, so that each rate is that of an error and has a target.
    """
    n = len(verdicts)
    counts = (
        sum(v.screen is Outcome.IMPROVED for v in verdicts),
        sum(v.promoted for v in verdicts),
        sum(v.screen is Outcome.REGRESSED for v in verdicts),
        sum(Outcome.REGRESSED in v.guards for v in verdicts),
    )
    made = []
    for (figure, promise), count in zip(PROMISES.items(), counts, strict=True):
        low, high = binomial.interval(count, n)
        limit = 100 * binomial.three_sigma(promise, n) if null else None
        text = f"{figure}: {count} of {n} [{100 * low:.1f} .. {100 * high:.1f} %]"
        made.append(table.Row(text, "%", 100 * count / n, limit, samples=n))
    runs = statistics.mean(v.runs for v in verdicts)
    most = 70 if null else None
    return [*made, table.Row("runs of a candidate, mean", "runs", runs, most, samples=n)]


_MANY = 1500
"""Pairs of which the centre is taken: it looks at all means of two."""


def noise(records: Sequence[Record]) -> list[table.Row]:
    """Return what the pairs looked like: noise, the coin, the place in the pair, the load."""
    made = []
    for program in PROGRAMS:
        pairs = [p for r in records if r.program == program for p in screened(r)]
        if pairs:
            made += _of_program(program, pairs)
    coin = [p.candidate_first for r in records for p in screened(r)]
    made.append(table.Row("candidate first", "%", 100 * statistics.mean(coin), samples=len(coin)))
    load = [average for r in records for average in r.load]
    return [*made, table.median("load average (1 minute)", "", load)]


def _of_program(program: str, pairs: Sequence[Pair]) -> list[table.Row]:
    made = []
    n = len(pairs)
    for metric in ("cpu", "wall"):
        xs = [_x(p, metric) for p in pairs]
        sd = robust_sd(xs)
        if sd is not None:
            made.append(table.Row(f"{program}: pair noise, {metric}", "%", 100 * sd, samples=n))
        centre = hodges_lehmann(xs[:_MANY])
        second = [
            centre - x if p.candidate_first else x - centre for x, p in zip(xs, pairs, strict=True)
        ]
        late = 100 * math.expm1(statistics.median(second))
        text = f"{program}: second run of a pair against the first, {metric}"
        made.append(table.Row(text, "%", late, samples=n))
        change = 100 * math.expm1(centre)
        text = f"{program}: candidate against baseline, {metric}"
        made.append(table.Row(text, "%", change, samples=min(n, _MANY)))
    cost = [p.baseline.cpu_ns / 1e6 for p in pairs]
    return [*made, table.median(f"{program}: CPU time of a run", "ms", cost)]


def screened(record: Record) -> list[Pair]:
    """Return the pairs of the screening."""
    return [p for s in record.evaluation.series if s.stage is Stage.SCREEN for p in s.pairs]


def _x(pair: Pair, metric: str) -> float:
    if metric == "wall":
        return math.log(pair.candidate.wall_ns / pair.baseline.wall_ns)
    return math.log(pair.candidate.cpu_ns / pair.baseline.cpu_ns)


def judge(file: Path, *, as_json: bool) -> int:
    """Print the table of a file; returns the exit code."""
    records = read(file)
    known = [r for r in records if r.evaluation.status is EvaluationStatus.OK]
    null = all(r.work == 1 for r in known)
    if not as_json:
        _say(records, known)
    made = [*rates([judged(r) for r in known], null=null), *noise(known)]
    return table.report(made, floor="floor", as_json=as_json)


def _say(records: Sequence[Record], known: Sequence[Record]) -> None:
    spans = (records[0].evaluation.started_ns, records[-1].evaluation.started_ns)
    begun, ended = (time.strftime("%F %H:%M", time.gmtime(at / 1e9)) for at in spans)
    print(f"{len(known)} verdicts, {begun} to {ended} UTC; {records[0].evaluation.machine}")
    others = Counter(f"{r.evaluation.status}: {r.evaluation.cause}" for r in records)
    for text, count in others.items():
        if not text.startswith(f"{EvaluationStatus.OK}: "):
            print(f"without a verdict: {count} x {text}")


def pool(file: Path, out: Path) -> None:
    """Write the screenings' pairs of a file as a pool for `verdict.py --pool`."""
    found: dict[str, list[Pair]] = {}
    for record in read(file):
        found.setdefault(record.program, []).extend(screened(record))
    recorded.write(out, found)
