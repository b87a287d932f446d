"""What the engine keeps of its own figures: a ring of samples in memory, asked by steps.

A day at ten seconds, a few dozen names: some 5 MB. It begins anew with the engine; what must
outlive it is in the ledger. Pure but for what it holds: the clock arrives as an argument.
"""

import math
from collections import deque
from collections.abc import Mapping

from ouroboros.errors import InvalidParamsError, NotFoundError
from ouroboros.model.insight import Metric, Points
from ouroboros.model.text import safe_line

KEPT = 8640
"""Samples: a day at one each ten seconds."""
MOST_POINTS = 2000
"""Points of one answer."""
_SECOND = 1_000_000_000


class SeriesStore:
    """Samples of a fixed set of metrics, all taken at the same times."""

    def __init__(self, metrics: tuple[Metric, ...], kept: int = KEPT) -> None:
        """Take what is measured."""
        self.metrics = metrics
        self._names = frozenset(metric.name for metric in metrics)
        self._samples: deque[tuple[int, Mapping[str, float]]] = deque(maxlen=kept)

    def add(self, ts: int, values: Mapping[str, float]) -> None:
        """Keep the values of one time (UTC ns); what is not finite is left out."""
        known = {k: v for k, v in values.items() if k in self._names and math.isfinite(v)}
        self._samples.append((ts, known))

    def query(self, name: str, *, begin: int, end: int, step_s: float) -> Points:
        """Return a series between two times (UTC ns; the end is left out).

        Raises:
            NotFoundError: no such metric.
            InvalidParamsError: it would be more than `MOST_POINTS` points.
        """
        if name not in self._names:
            raise NotFoundError(
                f"There is no metric {safe_line(name, limit=80)!r}.",
                hint="'metrics.list' names them.",
            )
        step = max(int(step_s * _SECOND), 1)
        if (end - begin) / step > MOST_POINTS:
            raise InvalidParamsError(
                f"Invalid params: more than {MOST_POINTS} points between `from` and `to`.",
                hint="Ask for a longer step or a shorter time.",
            )
        steps: dict[int, list[float]] = {}
        for ts, values in self._samples:
            if begin <= ts < end and name in values:
                steps.setdefault((ts - begin) // step, []).append(values[name])
        found = sorted(steps.items())
        return Points(
            name=name,
            step_s=step / _SECOND,
            ts=tuple(begin + number * step for number, _ in found),
            mean=tuple(math.fsum(v) / len(v) for _, v in found),
            least=tuple(min(v) for _, v in found),
            most=tuple(max(v) for _, v in found),
        )
