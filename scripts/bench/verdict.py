"""How often the governor is wrong, beside what others would have answered to the same pairs.

    .venv/bin/python scripts/bench/verdict.py [--quick] [--json] [--seed N] [--worlds N]
                                              [--pool FILE] [--only replays|simulations] [--jobs N]

**Replays.** Windows of recorded pairs of an unchanged program get a fair coin and a known effect
(`pool.py`); the product's own rule (`ours.py`) and those of others (`rivals.py`) answer. All rules
and all effects see the same windows. Figures are percent of the verdicts, one for each workload.

**Simulations** (`worlds.py`): a thousand candidates of which most are nothing, a ratchet of small
losses, ideas that are proposed again and again.

Exit code 1 where a target is missed. `--pool` replays other pairs (`aa.py pool` writes some).
"""

import argparse
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import binomial
import ours
import pool as recorded
import rivals
import table
import worlds

from ouroboros.model.verdict import Outcome

METRICS = ("cpu", "wall")
EFFECTS = (-0.10, -0.05, 0.0, 0.05, 0.10)
ALPHA = {"improved": 0.05, "regressed": 0.05, "accepted": 0.01}


class Cell(NamedTuple):
    """What one rule answered to one effect on one workload."""

    rule: str
    metric: str
    workload: str
    effect: float
    counts: Mapping[Outcome, int]
    runs: float
    """Mean of both sides together."""

    @property
    def verdicts(self) -> int:
        """How many there were."""
        return sum(self.counts.values())

    def rate(self, *outcomes: Outcome) -> float:
        """Return the share of these outcomes."""
        return sum(self.counts[o] for o in outcomes) / self.verdicts

    @property
    def accepted(self) -> float:
        """Return the share that passes: better, or said to be no worse."""
        return self.rate(Outcome.IMPROVED, Outcome.NEUTRAL)


class Bench(NamedTuple):
    """What is replayed."""

    pool: recorded.Pool
    worlds: int
    seed: int
    judge: ours.Judge = ours.Judge()

    def cells(self, jobs: int = 1) -> list[Cell]:
        """Have every rule answer everything; the answers do not depend on how many processes."""
        names = [*rivals.rules(), *ours.rules(self.judge)]
        wanted = list(itertools.product(METRICS, names, self.pool, EFFECTS))
        if jobs == 1:
            return [self.cell(one) for one in wanted]
        with ProcessPoolExecutor(jobs) as processes:
            return list(processes.map(self.cell, wanted))

    def cell(self, wanted: tuple[str, str, str, float]) -> Cell:
        """Have one rule answer: metric, rule, workload, effect."""
        metric, name, workload, effect = wanted
        rule = (rivals.rules() | ours.rules(self.judge))[name]
        counts, runs = Counter[Outcome](), 0
        for number in range(self.worlds):
            seed = f"{self.seed}:{workload}:{number}"
            world = recorded.World(self.pool[workload], seed, metric)
            answer = rule(world.pairs(1 + effect))
            counts[answer.outcome] += 1
            runs += answer.runs
        return Cell(name, metric, workload, effect, counts, runs / self.worlds)


# --- table --------------------------------------------------------------------------------------

_HEADS = (
    "A/A improved",
    "A/A regressed",
    "+5% accepted",
    "+10% accepted",
    "+10% regressed",
    "-10% found",
    "-5% found",
    "runs A/A",
    "runs -10%",
)


def lines(cells: Sequence[Cell]) -> list[str]:
    """Return the table: one block a metric, one line a rule, one figure a workload."""
    made = []
    workloads = list(dict.fromkeys(c.workload for c in cells))
    rules = list(dict.fromkeys(c.rule for c in cells))
    wide = max(len(rule) for rule in rules)
    verdicts = cells[0].verdicts
    for metric in METRICS:
        made.append(f"{metric}, {' / '.join(workloads)}, % of {verdicts} verdicts each")
        made.append(_line(wide, "rule", _HEADS))
        for rule in rules:
            shown = [
                {c.effect: c for c in cells if (c.rule, c.metric, c.workload) == (rule, metric, w)}
                for w in workloads
            ]
            columns = [_figures(by_effect) for by_effect in shown]
            texts = [" / ".join(both) for both in zip(*columns, strict=True)]
            made.append(_line(wide, rule, texts))
        made.append("")
    return made


def _figures(by_effect: Mapping[float, Cell]) -> list[str]:
    null = by_effect[0.0]
    rates = (
        null.rate(Outcome.IMPROVED),
        null.rate(Outcome.REGRESSED),
        by_effect[0.05].accepted,
        by_effect[0.10].accepted,
        by_effect[0.10].rate(Outcome.REGRESSED),
        by_effect[-0.10].rate(Outcome.IMPROVED),
        by_effect[-0.05].rate(Outcome.IMPROVED),
    )
    runs = (null.runs, by_effect[-0.10].runs)
    return [*(f"{100 * rate:.1f}" for rate in rates), *(f"{count:.0f}" for count in runs)]


def _line(wide: int, rule: str, columns: Sequence[str]) -> str:
    shown = (text.rjust(max(14, len(text))) for text in columns)
    return f"{rule:{wide}} {' '.join(shown)}".rstrip()


# --- targets ------------------------------------------------------------------------------------


def targets(cells: Sequence[Cell]) -> list[table.Row]:
    """Return the figures that have a target, all of them upper bounds, for CPU time."""
    made = []
    for cell in cells:
        if cell.metric == "cpu" and cell.rule == ours.SCREENING:
            made += _of_screening(cell)
        if cell.metric == "cpu" and cell.rule == ours.WHOLE and cell.effect == 0:
            limit = 100 * binomial.three_sigma(0.0025, cell.verdicts)
            made.append(_row(cell, "improved and confirmed", cell.rate(Outcome.IMPROVED), limit))
    broken = violations(cells)
    made.append(table.Row(f"guarantees broken{_named(broken)}", "", len(broken), 0))
    return made


def _of_screening(cell: Cell) -> list[table.Row]:
    n, improved = cell.verdicts, cell.rate(Outcome.IMPROVED)
    if cell.effect == 0:
        limit = 100 * binomial.three_sigma(0.05, n)
        runs = table.Row(f"{cell.workload} A/A: runs", "runs", cell.runs, 70, samples=n)
        return [_row(cell, "improved", improved, limit), runs]
    if cell.effect > 0:
        return [_row(cell, "accepted", cell.accepted, 1.0)]
    if cell.effect == -0.10:
        runs = table.Row(f"{cell.workload} -10 %: runs", "runs", cell.runs, 40, samples=n)
        return [_row(cell, "not found", 1 - improved, 7.0), runs]
    return []


def _row(cell: Cell, figure: str, rate: float, limit: float) -> table.Row:
    effect = f"{cell.effect:+.0%}" if cell.effect else "A/A"
    text = f"{cell.workload} {effect}: {figure}"
    return table.Row(text, "%", 100 * rate, limit, samples=cell.verdicts)


def _named(broken: Sequence[str]) -> str:
    return f": {', '.join(broken)}" if broken else ""


def violations(cells: Sequence[Cell]) -> list[str]:
    """Return where one of our rules is wrong more often than it promises, by three sigma.

    Improved where nothing is better, regressed where nothing is worse, accepted where it is as much
    worse as the margin or more; in CPU and in wall time.
    """
    found = []
    for cell in cells:
        if not cell.rule.startswith("ours"):
            continue
        wrong = {}
        if cell.effect >= 0:
            wrong["improved"] = cell.rate(Outcome.IMPROVED)
        if cell.effect <= 0:
            wrong["regressed"] = cell.rate(Outcome.REGRESSED)
        if cell.effect >= 0.05:
            wrong["accepted"] = cell.accepted
        for kind, rate in wrong.items():
            if rate > binomial.three_sigma(ALPHA[kind], cell.verdicts):
                place = f"{cell.workload} {cell.metric} {cell.effect:+.0%}"
                found.append(f"{cell.rule}, {place} {kind} {rate:.1%}")
    return found


# --- all ----------------------------------------------------------------------------------------


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="within 60 s")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worlds", type=int, help="verdicts of each figure")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--pool", type=Path, default=recorded.RECORDED)
    parser.add_argument("--only", choices=("replays", "simulations"))
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, judge: ours.Judge | None = None) -> int:
    """Replay and simulate, print, return the exit code."""
    given = arguments(argv)
    judge = judge or ours.Judge()
    begun = time.monotonic()
    pool = recorded.load(given.pool)
    count = given.worlds or (60 if given.quick else 400)
    cells = []
    if given.only != "simulations":
        cells = Bench(pool, count, given.seed, judge).cells(given.jobs)
    size = worlds.QUICK if given.quick else worlds.FULL
    noise = list(pool.values())[-1]
    simulate = given.only != "replays"
    found = worlds.Found([], [], [])
    if simulate:
        found = worlds.simulate(worlds.Scene(noise, size, given.seed, judge), given.jobs)
    rows = [*(targets(cells) if cells else []), *worlds.targets(found, exact=size.exact)]
    if given.json:
        missed = [row.figure for row in rows if row.missed]
        all_ = {
            "cells": [c._asdict() for c in cells],
            **{name: [row._asdict() for row in made] for name, made in found._asdict().items()},
            "targets": [row._asdict() for row in rows],
            "missed": missed,
        }
        print(json.dumps(all_, indent=1))
        return int(bool(missed))
    shown = lines(cells) if cells else []
    shown += worlds.lines(found) if simulate else []
    print("\n".join(shown))
    code = table.report(rows, floor="floor", as_json=False)
    print(f"seed {given.seed}, pool {given.pool.name}, {time.monotonic() - begun:.0f} s")
    return code


if __name__ == "__main__":
    sys.exit(main())
