"""Numbers that a command reports: the last line that it prints is a JSON object of them. Pure.

A line of a candidate is text of a stranger. What is not exactly a flat object of finite numbers,
each named once, is no report at all: neither `NaN` (which compares as nothing), nor `1e999` (which
Python reads as infinity), nor `true` (which it counts as 1), nor a name said twice (of which
parsers believe the first or the last one).
"""

import json
import math
from collections.abc import Iterable

import msgspec

from ouroboros.model.metric import MetricSpec, Scale
from ouroboros.model.text import safe_line

LINE_CAP = 64 << 10
"""Bytes of the longest line that is looked at."""

_SHOWN = 80


class BadReport(Exception):  # noqa: N818 - a finding about one side, turned into a check by its catcher
    """There is no report, or it is none. The text is for people, a sentence, and safe."""


class NoRatio(BadReport):
    """The numbers are there, but one of them is not positive and should be divided by."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers, by metric, and what was printed before their line."""

    values: dict[str, float]
    before: bytes


def read(printed: bytes, specs: Iterable[MetricSpec]) -> Report:
    """Read the last line of what was printed.

    Args:
        printed: whole standard output.
        specs: which metrics are wanted; other names are checked and then left out.

    Raises:
        BadReport: it is no such object, or lacks a metric, or a value cannot be compared.
    """
    before, line = _last_line(printed)
    values = _numbers(line)
    found: dict[str, float] = {}
    for spec in specs:
        if spec.name not in values:
            raise BadReport(f"The last line holds no {spec.name}: {_shown(line)}.")
        found[spec.name] = value = values[spec.name]
        if spec.scale is Scale.RATIO and value <= 0:
            raise NoRatio(
                f"{spec.name} is {value:g}, and ratios need positive numbers; "
                'scale = "difference" takes any.'
            )
    return Report(values=found, before=before)


def _last_line(printed: bytes) -> tuple[bytes, bytes]:
    text = printed.rstrip(b" \t\r\n")
    start = text.rfind(b"\n") + 1
    if not text:
        raise BadReport("It printed nothing; the last line should be a JSON object of numbers.")
    if len(text) - start > LINE_CAP:
        raise BadReport(f"The last line is longer than {LINE_CAP} bytes.")
    return printed[:start], text[start:]


def _numbers(line: bytes) -> dict[str, float]:
    try:
        parsed = json.loads(line.decode(), object_pairs_hook=_once, parse_constant=_refuse)
    except BadReport:
        raise
    except (ValueError, RecursionError):  # no JSON, no UTF-8, too many digits, too deep
        parsed = None
    if not isinstance(parsed, dict):
        raise BadReport(f"The last line should be a JSON object of numbers, and is {_shown(line)}.")
    return {name: _number(name, value) for name, value in parsed.items()}


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadReport("The last line says a name twice.")
    return found


def _refuse(constant: str) -> float:
    raise BadReport(f"The last line holds {constant}, which is no finite number.")


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadReport(f"{_name(name)} in the last line is no number.")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BadReport(f"{_name(name)} in the last line is no finite number.")
    return number


def _name(name: str) -> str:
    return safe_line(name, limit=_SHOWN)


def _shown(line: bytes) -> str:
    return repr(safe_line(line.decode(errors="replace"), limit=_SHOWN))
