"""What a worker says about a value: bytes that agree where type and value agree.

Runs inside the sandbox, in the target's interpreter, beside the code that made the values. Types
are exact: a subclass of `str` is no `str`, `True` is no `1`, `-0.0` no `0.0`, a tuple no list.
The order of a dict counts, that of a set and of an object's attributes does not. Which of several
equal objects is *the same* object does not count either, except where a value holds itself.

Nearly always that is the interpreter's own pickle, without its memory of what it has seen. It is
quick, so that whoever replaces it here saves nothing by that; the engine brings it into its normal
form. What cannot be pickled so (a value that holds itself, an instance of a local class) is
walked here instead, by the parts that pickling names (`__reduce_ex__`).
"""
# ruff: noqa: UP031, RUF005 - old interpreters too; bytes have no other formatting

import copyreg
import io
import itertools
import pickle
import struct
import sys
import types
from typing import Any

DRAIN_CAP = 1000000
"""So many items of an iterator are looked at."""

_DEPTH = 6000
_PLAIN = frozenset(
    (type(None), bool, int, float, complex, str, bytes, bytearray)
    + (list, tuple, dict, set, frozenset, range)
)
_pack = struct.Struct(">I").pack


class Uncomparable(Exception):  # noqa: N818 - a finding about a value
    """A value without canonical bytes."""


class Raised:
    """What a call raised instead of returning."""

    __slots__ = ("problem",)

    def __init__(self, problem: Any) -> None:
        """Keep the exception, and not the frames that it came through."""
        problem.__traceback__ = None
        self.problem = problem


class Drained:
    """An iterator that a call returned, consumed: its type, its items, how it ended."""

    __slots__ = ("end", "items", "kind")

    def __init__(self, iterator: Any) -> None:
        """Consume it, up to a cap."""
        self.kind = type(iterator)
        self.items: Any = []
        self.end: Any = None
        try:
            self.items.extend(itertools.islice(iterator, DRAIN_CAP))
        except BaseException as problem:  # noqa: BLE001 - whatever it raises is its answer
            self.end = Raised(problem)


def is_lazy(value: Any) -> Any:
    """Whether a value is an iterator, which has not done its work yet."""
    kind = type(value)
    return kind not in _PLAIN and hasattr(kind, "__next__")


def row(result: Any, args: Any, kwargs: Any) -> bytes:
    """Return the bytes of one call: what came of it, and its arguments as it has left them.

    Raises:
        Uncomparable: something in it has no bytes.
    """
    quick = pickled((*_parts(result), args, kwargs))
    return b"P" + quick if quick is not None else b"C" + encode((result, args, kwargs))


def _parts(result: Any) -> Any:
    if type(result) is Raised:
        problem = result.problem
        return "!", _name(type(problem)), problem.args, getattr(problem, "__dict__", None)
    if type(result) is Drained:
        end = _parts(result.end) if result.end is not None else None
        return "~", _name(result.kind), result.items, end
    return "=", result


def pickled(value: Any) -> Any:
    """Return a pickle without memory, or None where there is none."""
    buffer = io.BytesIO()
    try:
        pickler = pickle.Pickler(buffer, 4)
        pickler.fast = True
        pickler.dump(value)
    except Exception:  # noqa: BLE001 - the other way finds out what is wrong with it, if anything
        return None
    return buffer.getvalue()


def encode(value: Any) -> bytes:
    """Return the bytes of a value that was walked.

    Raises:
        Uncomparable: the value holds something that has none.
    """
    parts: Any = []
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _DEPTH))
    try:
        _put(parts.append, value, {})
    except RecursionError:
        raise Uncomparable("a value nested too deeply") from None
    finally:
        sys.setrecursionlimit(limit)
    return b"".join(parts)


def _text(put: Any, tag: bytes, text: Any) -> None:
    data = text.encode("utf-8", "surrogatepass")
    put(tag + _pack(len(data)))
    put(data)


def _name(kind: Any) -> Any:
    return "%s.%s" % (
        getattr(kind, "__module__", ""),
        getattr(kind, "__qualname__", None) or getattr(kind, "__name__", "?"),
    )


def _put(put: Any, value: Any, above: Any) -> None:
    kind = type(value)
    if value is None or kind is bool:
        put(b"N" if value is None else b"T" if value else b"F")
    elif kind is int:
        _text(put, b"i", "%x" % value)
    elif kind is float:
        _text(put, b"f", value.hex())
    elif kind is str:
        _text(put, b"s", value)
    elif kind is complex:
        _text(put, b"c", value.real.hex() + "," + value.imag.hex())
    elif kind is bytes or kind is bytearray:
        put((b"b" if kind is bytes else b"B") + _pack(len(value)))
        put(bytes(value))
    elif kind is range:
        _text(put, b"r", "%x,%x,%x" % (value.start, value.stop, value.step))
    elif id(value) in above:
        put(b"@" + _pack(above[id(value)]))
    else:
        above[id(value)] = len(above)
        _composite(put, value, kind, above)
        del above[id(value)]


def _composite(put: Any, value: Any, kind: Any, above: Any) -> None:
    if kind is list or kind is tuple:
        _items(put, b"l" if kind is list else b"t", value, above)
    elif kind is dict:
        _pairs(put, b"d", value.items(), above)
    elif kind is Raised:
        _raised(put, value.problem, above)
    elif kind is Drained:
        _text(put, b"I", _name(value.kind))
        _items(put, b"l", value.items, above)
        _put(put, value.end, above)
    elif issubclass(kind, type) or _is_named(value, kind):
        _global(put, value)
    elif issubclass(kind, (set, frozenset)):
        _set(put, value, kind, above)
    elif hasattr(kind, "__next__"):
        _put(put, Drained(value), above)
    else:
        _object(put, value, kind, above)


def _items(put: Any, tag: bytes, values: Any, above: Any) -> None:
    put(tag + _pack(len(values)))
    for value in list.__iter__(values) if tag == b"l" else tuple.__iter__(values):
        _put(put, value, above)


def _pairs(put: Any, tag: bytes, pairs: Any, above: Any) -> None:
    pairs = list(pairs)
    put(tag + _pack(len(pairs)))
    for key, value in pairs:
        _put(put, key, above)
        _put(put, value, above)


def _apart(value: Any, above: Any) -> bytes:
    parts: Any = []
    _put(parts.append, value, above)
    return b"".join(parts)


def _set(put: Any, value: Any, kind: Any, above: Any) -> None:
    base = set if issubclass(kind, set) else frozenset
    encoded = sorted(_apart(item, above) for item in base.__iter__(value))
    _text(put, b"S", _name(kind))
    put(_pack(len(encoded)))
    for item in encoded:
        put(item)
    if kind is not base:
        _state(put, getattr(value, "__dict__", None), above)


def _is_named(value: Any, kind: Any) -> Any:
    if kind is types.BuiltinFunctionType:
        return type(value.__self__) in (types.ModuleType, type(None))
    return kind is types.FunctionType or kind is types.ModuleType


def _global(put: Any, value: Any) -> None:
    name = _name(value)
    if "<" in name:
        raise Uncomparable("the function %s, which has no name of its own" % name)
    _text(put, b"g", name)


def _raised(put: Any, problem: Any, above: Any) -> None:
    _text(put, b"X", _name(type(problem)))
    for part in (problem.args, getattr(problem, "__dict__", None)):
        try:
            data = _apart(part, above)
        except Uncomparable:
            parts: Any = []
            _text(parts.append, b"?", str(problem))
            data = b"".join(parts)
        put(data)


def _object(put: Any, value: Any, kind: Any, above: Any) -> None:
    numpy = sys.modules.get("numpy")
    if numpy is not None and kind is getattr(numpy, "ndarray", None) and not value.dtype.hasobject:
        _text(put, b"A", "%s%s" % (value.dtype.str, value.shape))
        _put(put, value.tobytes(), above)
        return
    if kind is memoryview:
        _text(put, b"M", value.format + str(value.shape))
        _put(put, value.tobytes(), above)
        return
    reduced = _reduced(value, kind)
    if type(reduced) is str:
        _text(put, b"g", "%s.%s" % (getattr(kind, "__module__", ""), reduced))
        return
    if type(reduced) is not tuple or len(reduced) < 2:  # noqa: PLR2004 - the least that pickling allows
        raise Uncomparable("a value of type %s" % _name(kind))
    call, args, state, items, pairs = (*reduced[:5], None, None, None)[:5]
    _text(put, b"o", _name(kind))
    _put(put, call, above)
    _put(put, args, above)
    _state(put, state, above)
    _items(put, b"l", list(items or ()), above)
    _pairs(put, b"d", pairs or (), above)


def _reduced(value: Any, kind: Any) -> Any:
    try:
        reducer = copyreg.dispatch_table.get(kind)
        return reducer(value) if reducer is not None else value.__reduce_ex__(4)
    except RecursionError:
        raise
    except Exception as problem:  # noqa: BLE001 - whatever a foreign method raises means the same
        text = "a value of type %s (%s: %s)" % (_name(kind), type(problem).__name__, problem)
        raise Uncomparable(text) from None


def _state(put: Any, state: Any, above: Any) -> None:
    """Write an object's attributes; the order in which they were set says nothing."""
    if type(state) is dict:
        rows = sorted(_apart(key, above) + _apart(item, above) for key, item in state.items())
        put(b"D" + _pack(len(rows)))
        for row in rows:
            put(row)
    elif type(state) is tuple and len(state) == 2 and type(state[1]) is dict:  # noqa: PLR2004 - (dict, slots)
        put(b"2")
        _state(put, state[0], above)
        _state(put, state[1], above)
    else:
        _put(put, state, above)
