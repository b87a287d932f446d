r"""Text out: data on stdout, everything else on stderr, colours and width only where they fit.

Foreign text (titles, diffs, test names) can carry terminal escapes. `line` and `table` therefore
pass every string through `safe_text`, whoever wrote it, and colours are added afterwards. JSON is
the wire result as msgspec encodes it, but that characters which could steer a terminal are written
as `\uXXXX`, which is the same JSON value; on a terminal it is indented.
"""

import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import click

from ouroboros.cli.options import Settings
from ouroboros.model.text import plain_json, safe_text

Cell = str | tuple[str, str]
"""A cell of a table: text, or text with the name of a style."""

_STYLES: dict[str, dict[str, Any]] = {
    "good": {"fg": "green"},
    "bad": {"fg": "red"},
    "warn": {"fg": "yellow"},
    "dim": {"dim": True},
    "bold": {"bold": True},
    "info": {"fg": "cyan"},
}

_WIDE = 100_000
"""Columns where there is no terminal: nothing is cut in a pipe."""


def colors_on(stream: TextIO, settings: Settings) -> bool:
    """Whether to write colours: only to a terminal, and only if nothing says no."""
    if not settings.color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def style(text: str, name: str, *, on: bool) -> str:
    """Return the text in a named style, or as it is."""
    return click.style(text, **_STYLES[name]) if on and name else text


def _write(stream: TextIO, text: str) -> None:
    stream.write(f"{text}\n")


def line(settings: Settings, text: str = "", name: str = "") -> None:
    """Print one piece of text to stdout, made safe."""
    _write(sys.stdout, style(safe_text(text), name, on=colors_on(sys.stdout, settings)))


def note(settings: Settings, text: str, name: str = "") -> None:
    """Print one piece of text to stderr, made safe."""
    sys.stdout.flush()
    _write(sys.stderr, style(safe_text(text), name, on=colors_on(sys.stderr, settings)))
    sys.stderr.flush()


def data(value: object, *, indent: bool = True) -> None:
    """Print a value as JSON to stdout: as msgspec encodes it in a pipe, readable on a terminal.

    Args:
        value: a result of the wire, or any plain value.
        indent: whether it may take several lines on a terminal (a stream may not).
    """
    import msgspec

    encoded = plain_json(msgspec.json.encode(value))
    if indent and sys.stdout.isatty():
        encoded = msgspec.json.format(encoded, indent=2)
    _write(sys.stdout, encoded.decode())


def fields(
    settings: Settings, rows: Iterable[tuple[str, Cell]], stream: TextIO | None = None
) -> None:
    """Print aligned `name  value` lines; rows with an empty value are left out."""
    kept = [(name, cell) for name, cell in rows if _text(cell)]
    left = max((len(name) for name, _ in kept), default=0)
    out = stream or sys.stdout
    on = colors_on(out, settings)
    for name, cell in kept:
        shown = style(safe_text(_text(cell)), _style(cell), on=on)
        first, *rest = shown.split("\n")
        _write(out, f"{style(name.ljust(left), 'dim', on=on)}  {first}")
        for more in rest:
            _write(out, f"{'':{left}}  {more}")


def table(
    settings: Settings,
    heads: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    right: Sequence[int] = (),
    wrap: bool = False,
    stream: TextIO | None = None,
) -> None:
    """Print an aligned table; on a terminal the last column is cut to the width.

    Args:
        settings: decides on colours.
        heads: the titles of the columns; no heading line where all are empty.
        rows: the cells, made safe here, each on one line.
        right: the columns to align to the right.
        wrap: continue the last column on the next line instead of cutting it.
        stream: where to; stdout by default.
    """
    from ouroboros.cli.words import fit, width
    from ouroboros.model.text import safe_line

    out = stream or sys.stdout
    on = colors_on(out, settings)
    plain = [[safe_line(_text(c), limit=1000) for c in row] for row in rows]
    widths = [max(width(r[i]) for r in [list(heads), *plain]) for i in range(len(heads))]
    room = max(20, _columns(out) - sum(widths[:-1]) - 2 * (len(heads) - 1))

    def padded(text: str, column: int) -> str:
        if column == len(heads) - 1 and not wrap:
            text = fit(text, room)
        gap = " " * max(0, widths[column] - width(text))
        return gap + text if column in right else text + gap

    if any(heads):
        head = "  ".join(padded(h, i) for i, h in enumerate(heads)).rstrip()
        _write(out, style(head, "dim", on=on))
    for row, texts in zip(rows, plain, strict=True):
        more = []
        if wrap:
            texts[-1], *more = textwrap.wrap(texts[-1], room, break_on_hyphens=False) or [""]
        cells = [style(padded(t, i), _style(row[i]), on=on) for i, t in enumerate(texts)]
        _write(out, "  ".join(cells).rstrip())
        for rest in more:
            _write(out, " " * (sum(widths[:-1]) + 2 * (len(heads) - 1)) + rest)


def _columns(stream: TextIO) -> int:
    return shutil.get_terminal_size().columns if stream.isatty() else _WIDE


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]


def _style(cell: Cell) -> str:
    return "" if isinstance(cell, str) else cell[1]


def interactive() -> bool:
    """Whether a person can be asked: both where he types and where questions go are terminals."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirmed(question: str) -> bool:
    """Ask on stderr; anything but a clear yes is no."""
    return click.confirm(safe_text(question), default=False, err=True)


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int], None] | None]:
    """Give a `(done, total)` callback that draws a bar on stderr; None where nobody watches."""
    if not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=1, label=label, file=sys.stderr) as bar:
        seen = 0

        def update(done: int, total: int) -> None:
            nonlocal seen
            bar.length = max(total, 1)
            bar.update(done - seen)
            seen = done

        yield update
