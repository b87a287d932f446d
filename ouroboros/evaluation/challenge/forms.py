"""The normal form of a pickle, read without ever unpickling it.

Results leave a worker as the interpreter's own pickle, without memory of what was seen before:
quick to make, so that nobody who replaces the maker gains by it. Two such pickles may differ
although the values agree, in the order of a set or of an object's attributes, or in the sign of a
NaN. Then, and only then, both are read here: as data, opcode by opcode, in the engine. Nothing is
imported, nothing is called, and what does not look like such a pickle has no normal form. Long
parts are written as their hash, so that nesting costs no more than its length.
"""

import hashlib
import math
import struct
from collections.abc import Callable
from typing import NamedTuple

_MOST = 5_000_000
"""Opcodes after which nobody waits any longer."""

_SHORT = 256
_NONE = b"N"


class Malformed(Exception):  # noqa: N818 - a finding about bytes, turned into a difference
    """This is no pickle that a worker makes."""


class _Dict(NamedTuple):
    pairs: list[tuple[bytes, bytes]]


class _Tuple(NamedTuple):
    parts: "list[Node]"


class _Set(NamedTuple):
    items: list[bytes]


class _List(NamedTuple):
    items: list[bytes]


class _Object(NamedTuple):
    """What `call(*args)` makes, with state, list items, set items and dict items."""

    made: bytes
    states: list[bytes]
    items: list[bytes]
    pairs: list[tuple[bytes, bytes]]


Node = bytes | _Dict | _Tuple | _Set | _List | _Object


def normal(data: bytes) -> bytes:
    """Return the normal form.

    Raises:
        Malformed: it has none.
    """
    try:
        return _Reader(data).read()
    except (IndexError, struct.error, ValueError, OverflowError) as error:
        raise Malformed(str(error)) from None


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._stack: list[Node] = []
        self._marks: list[int] = []

    def read(self) -> bytes:
        for _ in range(_MOST):
            opcode = self._data[self._at]
            self._at += 1
            if opcode == _STOP:
                if len(self._stack) != 1 or self._marks or self._at != len(self._data):
                    raise Malformed("It does not end where it says.")
                return _done(self._stack[0])
            action = _ACTIONS.get(opcode)
            if action is None:
                raise Malformed(f"It has the opcode {opcode}.")
            action(self)
        raise Malformed("It is too long.")

    # --- reading ---

    def take(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise Malformed("It breaks off.")
        piece = self._data[self._at : end]
        self._at = end
        return piece

    def number(self, layout: str) -> int:
        found = struct.Struct(layout)
        value: int = found.unpack(self.take(found.size))[0]
        return value

    def push(self, node: Node) -> None:
        self._stack.append(node)

    def pop(self) -> Node:
        if self._marks and len(self._stack) <= self._marks[-1]:
            raise Malformed("It takes what is not there.")
        return self._stack.pop()

    def mark(self) -> None:
        self._marks.append(len(self._stack))

    def since_mark(self) -> list[Node]:
        start = self._marks.pop()
        nodes = self._stack[start:]
        del self._stack[start:]
        return nodes

    # --- values ---

    def integer(self, value: int) -> None:
        self.push(_cell(b"i", b"%x" % value))

    def long(self, layout: str) -> None:
        self.integer(int.from_bytes(self.take(self.number(layout)), "little", signed=True))

    def floating(self) -> None:
        value = struct.unpack(">d", self.take(8))[0]
        self.push(_cell(b"f", b"nan" if math.isnan(value) else value.hex().encode()))

    def sized(self, tag: bytes, layout: str) -> None:
        self.push(_cell(tag, self.take(self.number(layout))))

    def name(self) -> None:
        attribute, module = _done(self.pop()), _done(self.pop())
        self.push(_cell(b"g", module + attribute))

    def tuple_of(self, nodes: list[Node]) -> None:
        # A dict stays open here, since it may be the attributes of an object.
        self.push(_Tuple([n if isinstance(n, _Dict) else _done(n) for n in nodes]))

    def popped(self, count: int) -> None:
        self.tuple_of([self.pop() for _ in range(count)][::-1])

    def add(self, nodes: list[Node]) -> None:
        self._holder((_List, _Object)).items.extend(map(_done, nodes))

    def add_to_set(self) -> None:
        nodes = self.since_mark()
        self._holder((_Set,)).items.extend(map(_done, nodes))

    def set_items(self, nodes: list[Node]) -> None:
        if len(nodes) % 2:
            raise Malformed("A key has no value.")
        cells = [_done(node) for node in nodes]
        holder = self._stack[-1]
        if not isinstance(holder, _Dict | _Object):
            raise Malformed("It puts a key into something else than a dict.")
        holder.pairs.extend(zip(cells[::2], cells[1::2], strict=True))

    def make(self, tag: bytes, count: int) -> None:
        parts = [_done(self.pop()) for _ in range(count)][::-1]
        self.push(_Object(_cell(tag, b"".join(parts)), [], [], []))

    def build(self) -> None:
        state = self.pop()
        holder = self._stack[-1]
        if not isinstance(holder, _Object):
            raise Malformed("It gives attributes to something else than an object.")
        holder.states.append(_attributes(state))

    def _holder(self, kinds: tuple[type, ...]) -> _List | _Set | _Object:
        holder = self._stack[-1]
        if not isinstance(holder, kinds):
            raise Malformed("It adds an item to something that has none.")
        assert isinstance(holder, _List | _Set | _Object)  # noqa: S101 - those are the kinds
        return holder


def _cell(tag: bytes, content: bytes) -> bytes:
    if len(content) > _SHORT:
        return b"%b#%b" % (tag, hashlib.sha256(content).digest())
    return b"%b%d:%b" % (tag, len(content), content)


def _pairs(pairs: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(key + value for key, value in pairs)


def _done(node: Node) -> bytes:
    """Write a node down; its children are written already."""
    match node:
        case bytes():
            return node
        case _Dict():
            return _cell(b"d", _pairs(node.pairs))
        case _Tuple():
            return _cell(b"t", b"".join(map(_done, node.parts)))
        case _Set():
            return _cell(b"S", b"".join(sorted(node.items)))
        case _List():
            return _cell(b"l", b"".join(node.items))
        case _Object():
            states = b"".join(node.states)
            return _cell(b"o", node.made + states + b"".join(node.items) + _pairs(node.pairs))


def _attributes(state: Node) -> bytes:
    """Write an object's attributes; the order in which they were set says nothing."""
    match state:
        case _Dict():
            return _cell(b"D", _pairs(sorted(state.pairs)))
        case _Tuple(parts=[first, _Dict() as slots]) if isinstance(first, _Dict) or first == _NONE:
            return _cell(b"2", _attributes(first) + _attributes(slots))
        case _:
            return _cell(b"A", _done(state))


_STOP = ord(".")
_Action = Callable[[_Reader], None]
_ACTIONS: dict[int, _Action] = {
    0x80: lambda r: _nothing(r.take(1)),  # PROTO
    0x95: lambda r: _nothing(r.take(8)),  # FRAME
    ord("("): _Reader.mark,
    ord("N"): lambda r: r.push(_NONE),
    0x88: lambda r: r.push(b"T"),
    0x89: lambda r: r.push(b"F"),
    ord("J"): lambda r: r.integer(r.number("<i")),
    ord("K"): lambda r: r.integer(r.number("<B")),
    ord("M"): lambda r: r.integer(r.number("<H")),
    0x8A: lambda r: r.long("<B"),
    0x8B: lambda r: r.long("<I"),
    ord("G"): _Reader.floating,
    0x8C: lambda r: r.sized(b"s", "<B"),
    ord("X"): lambda r: r.sized(b"s", "<I"),
    0x8D: lambda r: r.sized(b"s", "<Q"),
    ord("C"): lambda r: r.sized(b"b", "<B"),
    ord("B"): lambda r: r.sized(b"b", "<I"),
    0x8E: lambda r: r.sized(b"b", "<Q"),
    ord("]"): lambda r: r.push(_List([])),
    ord("}"): lambda r: r.push(_Dict([])),
    ord(")"): lambda r: r.push(_Tuple([])),
    0x8F: lambda r: r.push(_Set([])),
    ord("a"): lambda r: r.add([r.pop()]),
    ord("e"): lambda r: r.add(r.since_mark()),
    ord("s"): lambda r: r.set_items([r.pop(), r.pop()][::-1]),
    ord("u"): lambda r: r.set_items(r.since_mark()),
    0x90: _Reader.add_to_set,
    0x91: lambda r: r.push(_cell(b"Z", b"".join(sorted(map(_done, r.since_mark()))))),
    0x85: lambda r: r.popped(1),
    0x86: lambda r: r.popped(2),
    0x87: lambda r: r.popped(3),
    ord("t"): lambda r: r.tuple_of(r.since_mark()),
    0x93: _Reader.name,
    ord("R"): lambda r: r.make(b"R", 2),
    0x81: lambda r: r.make(b"n", 2),
    0x92: lambda r: r.make(b"x", 3),
    ord("b"): _Reader.build,
}


def _nothing(_: bytes) -> None:
    """Skip what only says how the rest is cut into pieces."""
