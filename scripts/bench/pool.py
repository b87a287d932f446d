"""Recorded pairs of the same program run twice, replayed as candidates of a known effect.

A contiguous window keeps the machine's drift and bursts; a fair coin swaps the two sides of each
pair, so that there is no true difference between them; then one side is scaled. What a rule says is
thereby right or wrong by construction, and the noise is a real machine's.
"""

import csv
import gzip
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ouroboros.model.evaluation import Pair, Sample

RECORDED = Path(__file__).parents[2] / "tests" / "data" / "pairs-aa.csv.gz"


class Run(NamedTuple):
    """One run as it was recorded."""

    cpu_ns: float
    wall_ns: float
    rss_bytes: int

    def scaled(self, factor: float, metric: str) -> Sample:
        """Return the run of a program that costs so many times as much.

        Args:
            factor: on CPU and wall time.
            metric: whose noise is replayed: `wall` puts wall time where CPU time is looked for.
        """
        cpu = self.cpu_ns if metric == "cpu" else self.wall_ns
        return Sample(
            cpu_ns=round(cpu * factor),
            wall_ns=round(self.wall_ns * factor),
            rss_bytes=self.rss_bytes,
        )


Pool = dict[str, Sequence[tuple[Run, Run]]]


def load(path: Path = RECORDED) -> Pool:
    """Return the recorded pairs by workload, in time order."""
    pool: dict[str, list[tuple[Run, Run]]] = {}
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file):
            pool.setdefault(row["workload"], []).append((_run(row, "a"), _run(row, "b")))
    return dict(pool)


def _run(row: dict[str, str], side: str) -> Run:
    return Run(
        float(row[f"{side}_cpu_ms"]) * 1e6,
        float(row[f"{side}_wall_ms"]) * 1e6,
        int(row[f"{side}_rss_kb"]) * 1024,
    )


_HEADS = "workload,round,first,start_s,a_wall_ms,b_wall_ms,a_cpu_ms,b_cpu_ms,a_rss_kb,b_rss_kb"


def write(path: Path, pairs: Mapping[str, Sequence[Pair]]) -> None:
    """Write pairs by workload as they are recorded; the baseline is a, the candidate b."""
    with gzip.open(path, "wt", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_HEADS.split(","))
        for workload, own in pairs.items():
            for number, pair in enumerate(own):
                sides = (pair.baseline, pair.candidate)
                writer.writerow(
                    (
                        workload,
                        number,
                        "B" if pair.candidate_first else "A",
                        f"{pair.started_ns / 1e9:.3f}",
                        *(f"{side.wall_ns / 1e6:.3f}" for side in sides),
                        *(f"{side.cpu_ns / 1e6:.3f}" for side in sides),
                        *(side.rss_bytes // 1024 for side in sides),
                    )
                )


class World:
    """One window of a pool with one coin; pairs are taken from it one after the other."""

    def __init__(self, rows: Sequence[tuple[Run, Run]], seed: str, metric: str = "cpu") -> None:
        """Choose the window.

        Args:
            rows: of one workload; the window goes on at the start where they end.
            seed: of window and coin.
            metric: `cpu` or `wall`.
        """
        self._rows = rows
        self._draw = random.Random(seed)  # noqa: S311 - reproducible
        self._at = self._draw.randrange(len(rows))
        self._metric = metric

    def pair(self, factor: float, base: float = 1.0) -> Pair:
        """Return the next pair.

        Args:
            factor: true cost of the candidate.
            base: true cost of what it is compared with.
        """
        one, two = self._rows[self._at % len(self._rows)]
        self._at += 1
        swapped = self._draw.random() < 0.5
        if swapped:
            one, two = two, one
        return Pair(
            started_ns=self._at,
            candidate_first=swapped,
            baseline=one.scaled(base, self._metric),
            candidate=two.scaled(factor, self._metric),
        )

    def pairs(self, factor: float, base: float = 1.0) -> Iterator[Pair]:
        """Return pairs without end."""
        while True:
            yield self.pair(factor, base)
