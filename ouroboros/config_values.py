"""The values of `ouroboros.toml` that TOML has no type for, and the root of its tables."""

import re

import msgspec


class Duration(int):
    """Nanoseconds, written as `"90s"`, `"250ms"`, `"5m"`, `"1h"`, `"2d"` or a number of seconds."""

    __slots__ = ()

    @property
    def seconds(self) -> float:
        """The duration in seconds."""
        return self / 1e9


class Size(int):
    """Bytes, written as `"64KiB"`, `"512MiB"`, `"1GiB"` or a number of bytes."""

    __slots__ = ()


_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def parse_duration(value: object) -> Duration:
    """Return nanoseconds.

    Raises:
        ValueError: not a positive duration in a known unit.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return Duration(round(value * 1e9))
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or float(match[1]) <= 0:
        raise ValueError(f'Expected a duration such as "90s", "5m" or "1h", got {value!r}')
    return Duration(round(float(match[1]) * _SECONDS[match[2]] * 1e9))


def parse_size(value: object) -> Size:
    """Return bytes.

    Raises:
        ValueError: not a positive size in a known unit.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return Size(value)
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or float(match[1]) <= 0:
        raise ValueError(f'Expected a size such as "512MiB" or "1GiB", got {value!r}')
    return Size(round(float(match[1]) * _BYTES[match[2]]))


_DURATION_UNITS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6}
_SIZE_UNITS = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}


def duration_text(value: Duration) -> str | float:
    """Return a duration as `parse_duration` reads it: the largest unit that fits exactly."""
    for unit, size in _DURATION_UNITS.items():
        if value % size == 0:
            return f"{value // size}{unit}"
    return value.seconds


def size_text(value: Size) -> str:
    """Return a size as `parse_size` reads it: the largest unit that fits exactly."""
    unit, size = next((u, s) for u, s in _SIZE_UNITS.items() if value % s == 0)
    return f"{value // size}{unit}"


def written(value: object) -> str | float:
    """Return a duration or size as it stands in the file; the encoder's hook.

    Raises:
        NotImplementedError: neither of them.
    """
    if isinstance(value, Duration):
        return duration_text(value)
    if isinstance(value, Size):
        return size_text(value)
    raise NotImplementedError(type(value))


def seconds(value: float) -> Duration:
    """Return a duration of that many seconds."""
    return parse_duration(value)


def mebibytes(value: int) -> Size:
    """Return a size of that many MiB."""
    return Size(value << 20)


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Root of all tables of the file: unknown keys are errors."""
