"""Writing TOML: the little that a configuration needs (the standard library only reads it).

Durations and sizes are written as in the file (`"90s"`, `"512MiB"`), so that what is shown can be
pasted back: `tests/cli` parses everything that `dump` writes.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ouroboros.config import Config, Duration, Size
from ouroboros.model.text import safe_text

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_TIMES = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
_SIZES = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


def text_of_duration(value: Duration) -> str:
    """Return the shortest exact spelling: `1h`, `90s`, `250ms`."""
    for unit, seconds in _TIMES:
        whole = seconds * 1_000_000_000
        if value >= whole and value % whole == 0:
            return f"{value // whole}{unit}"
    whole, rest = divmod(int(value), 1_000_000)
    return f"{whole}.{rest:06d}".rstrip("0").rstrip(".") + "ms"


def text_of_size(value: Size) -> str:
    """Return the shortest exact spelling: `1GiB`, `512MiB`, `100B`."""
    for unit, size in _SIZES:
        if value >= size and value % size == 0:
            return f"{value // size}{unit}"
    return f"{int(value)}B"


def _encode(value: Any) -> Any:
    if isinstance(value, Duration):
        return text_of_duration(value)
    if isinstance(value, Size):
        return text_of_size(value)
    raise NotImplementedError(type(value))


def values_of(config: Config) -> dict[str, Any]:
    """Return all options as plain values."""
    values: dict[str, Any] = _plain(config)
    return values


def _plain(value: Any) -> Any:
    """Like `msgspec.to_builtins`, which takes a Duration for the int that it also is."""
    if isinstance(value, Duration | Size):
        return _encode(value)
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return msgspec.to_builtins(value)


def dump(values: Mapping[str, Any]) -> str:
    """Return TOML text; None (a value that is not set) is left out."""
    return "\n".join(_table((), values)).strip() + "\n"


def _table(path: tuple[str, ...], values: Mapping[str, Any]) -> Iterator[str]:
    plain = {k: v for k, v in values.items() if not isinstance(v, Mapping) and v is not None}
    tables = {k: v for k, v in values.items() if isinstance(v, Mapping)}
    if path and (plain or not tables):
        yield f"\n[{'.'.join(map(key, path))}]"
    for name, value in plain.items():
        yield f"{key(name)} = {literal(value)}"
    for name, table in tables.items():
        yield from _table((*path, name), table)


def key(name: str) -> str:
    """Return a key, quoted where it must be."""
    return name if _BARE.fullmatch(name) else literal(name)


def literal(value: Any) -> str:
    """Return a TOML value. JSON's strings are TOML's basic strings, but for a raw DEL.

    What could act on a terminal or hide from a reader (a path may hold it) becomes an escape.
    """
    if isinstance(value, list | tuple):
        return f"[{', '.join(literal(item) for item in value)}]"
    if isinstance(value, str):
        return "".join(map(_seen, json.dumps(value, ensure_ascii=False)))
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def _seen(char: str) -> str:
    return char if safe_text(char) == char else f"\\U{ord(char):08x}"
