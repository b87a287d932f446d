"""One table a run, for all benchmarks here: figure, value, spread, target, floor beside it, ratio.

The spread is the distance between the quartiles in percent of the median, `least` the smallest
sample: on a noisy machine they are far from nothing and from the median, and say so, instead of a
hidden second try. A target is an upper bound; where one is missed, the exit code is 1.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One figure. `floor` is what the same costs without us, measured in the same run."""

    figure: str
    unit: str
    value: float
    target: float | None = None
    floor: float | None = None
    spread: float | None = None
    least: float | None = None
    samples: int = 0

    @property
    def missed(self) -> bool:
        """Whether the value is above its target."""
        return self.target is not None and self.value > self.target


def median(
    figure: str,
    unit: str,
    samples: Sequence[float],
    *,
    target: float | None = None,
    floor: float | None = None,
) -> Row:
    """Return the row of a median, with its spread."""
    value = statistics.median(samples)
    return Row(
        figure, unit, value, target, floor, spread(samples), min(samples), samples=len(samples)
    )


def spread(samples: Sequence[float]) -> float | None:
    """Return the interquartile range in percent of the median."""
    if len(samples) < 4:
        return None
    low, middle, high = statistics.quantiles(samples, n=4)
    return 100 * (high - low) / middle if middle else None


def arguments(doc: str) -> argparse.Namespace:
    """Read the arguments that every benchmark has."""
    parser = argparse.ArgumentParser(description=doc.split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="within 60 s")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def report(rows: Sequence[Row], *, floor: str, as_json: bool) -> int:
    """Print the rows; return the exit code.

    Args:
        rows: what was measured.
        floor: what the column of floors is called.
        as_json: print an object instead.
    """
    missed = [row.figure for row in rows if row.missed]
    if as_json:
        print(json.dumps({"rows": [row._asdict() for row in rows], "missed": missed}, indent=1))
        return int(bool(missed))
    wide = max(len(row.figure) for row in rows)
    heads = ("unit", "value", "spread", "least", "n", "target", floor, "ratio")
    print(_line(wide, "figure", *heads))
    for row in rows:
        print(
            _line(
                wide,
                row.figure,
                row.unit,
                f"{row.value:.2f}",
                f"{row.spread:.0f} %" if row.spread is not None else "-",
                f"{row.least:.2f}" if row.least is not None else "-",
                str(row.samples or "-"),
                f"<= {row.target:g}" if row.target is not None else "-",
                f"{row.floor:.2f}" if row.floor else "-",
                f"{row.value / row.floor:.1f}" if row.floor else "-",
            )
        )
    print(f"missed: {', '.join(missed)}" if missed else "all targets met")
    return int(bool(missed))


def _line(wide: int, figure: str, unit: str, *columns: str) -> str:
    widths = (10, 7, 9, 6, 8, max(10, len(columns[5])), 6)
    shown = (text.rjust(width) for text, width in zip(columns, widths, strict=True))
    return f"{figure:{wide}}  {unit:12}{' '.join(shown)}".rstrip()
