"""One-line strips that can be clicked: the views, the tabs of the detail, the keys at the bottom.

Each is one widget each instead of one widget per word: a footer of a dozen widgets that is
composed anew whenever a phase changes is what makes a screen flicker over SSH.
"""

from rich.cells import cell_len
from textual import events
from textual.message import Message
from textual.strip import Strip

from tui.keys import Key
from tui.paint import Painted
from tui.rows import Crumb
from tui.words import Line, Span


class ViewBar(Painted):
    """Which views there are, where one is, and how one came there."""

    class Picked(Message):
        """A view was clicked."""

        def __init__(self, action: str) -> None:
            """Keep what its key would do."""
            super().__init__()
            self.action = action

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__()
        self.crumbs: tuple[Crumb, ...] = ()

    def show(self, crumbs: tuple[Crumb, ...]) -> None:
        """Show these; the caller has made them fit."""
        if crumbs != self.crumbs:
            self.crumbs = crumbs
            self.refresh()

    def render_line(self, y: int) -> Strip:  # noqa: ARG002 - it has one line
        """Return the strip."""
        strip = self.strip_of(Line(tuple(Span(c.text, c.role) for c in self.crumbs)))
        return strip.adjust_cell_length(self.size.width).apply_style(self.rich_style)

    def on_click(self, event: events.Click) -> None:
        """Find the view under the mouse."""
        x = 0
        for crumb in self.crumbs:
            wide = cell_len(crumb.text)
            if x <= event.x < x + wide and crumb.action:
                self.post_message(self.Picked(crumb.action))
            x += wide


class Tabs(Painted):
    """The tabs of the detail area."""

    NAMES = (("overview", "Overview"), ("diff", "Diff"), ("measures", "Measures"), ("log", "Log"))

    class Picked(Message):
        """A tab was clicked."""

        def __init__(self, name: str) -> None:
            """Name the tab."""
            super().__init__()
            self.name = name

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        """Begin with the first tab."""
        super().__init__(id=id)
        self.active = self.NAMES[0][0]
        self.note = Line()

    def show(self, active: str, note: Line) -> None:
        """Mark a tab as active; `note` stands at the right (where in the diff one is)."""
        if (active, note) != (self.active, self.note):
            self.active, self.note = active, note
            self.refresh()

    def _words(self) -> list[tuple[str, str]]:
        return [(name, f" {word} ") for name, word in self.NAMES]

    def render_line(self, y: int) -> Strip:  # noqa: ARG002 - it has one line
        """Return the strip."""
        spans = [
            Span(word, "tab-on" if name == self.active else "tab") for name, word in self._words()
        ]
        left = self.strip_of(Line(tuple(spans)))
        note = self.strip_of(self.note)
        gap = self.size.width - note.cell_length - 1
        strip = (
            left if gap <= left.cell_length else Strip.join([left.adjust_cell_length(gap), note])
        )
        return strip.adjust_cell_length(self.size.width, self.rich_style).apply_style(
            self.rich_style,
        )

    def on_click(self, event: events.Click) -> None:
        """Find the tab under the mouse."""
        x = 0
        for name, word in self._words():
            if x <= event.x < x + len(word):
                self.post_message(self.Picked(name))
            x += len(word)


class KeyBar(Painted):
    """What is possible here: keys that work, greyed where something stands in the way."""

    class Pressed(Message):
        """A key was clicked."""

        def __init__(self, key: Key) -> None:
            """Name the key."""
            super().__init__()
            self.key = key

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__()
        self.items: tuple[tuple[Key, str, bool], ...] = ()

    def show(self, items: tuple[tuple[Key, str, bool], ...]) -> None:
        """Show keys in order: the key, its word now, and whether it works."""
        if items != self.items:
            self.items = items
            self.refresh()

    def _fitting(self) -> list[tuple[Key, str, bool]]:
        """Return what fits; panic, help and quit always do, the least important is left out."""
        items = sorted(self.items, key=lambda item: item[0].bar)
        keep = {"panic", "help", "quit"}
        while items and sum(_size(item) for item in items) > self.size.width:
            spare = [item for item in items if item[0].name not in keep]
            if not spare:
                break
            greyed = [item for item in spare if not item[2]]
            items.remove((greyed or spare)[-1])
        return items

    def render_line(self, y: int) -> Strip:  # noqa: ARG002 - it has one line
        """Return the strip."""
        spans: list[Span] = []
        for key, word, works in self._fitting():
            spans.append(Span(f" {key.shown} ", "key" if works else "off"))
            spans.append(Span(f"{word} ", "" if works else "off"))
        strip = self.strip_of(Line(tuple(spans)))
        return strip.adjust_cell_length(self.size.width).apply_style(self.rich_style)

    def on_click(self, event: events.Click) -> None:
        """Find the key under the mouse."""
        x = 0
        for item in self._fitting():
            if x <= event.x < x + _size(item) and item[2]:
                self.post_message(self.Pressed(item[0]))
            x += _size(item)


def _size(item: tuple[Key, str, bool]) -> int:
    key, word, _ = item
    return cell_len(key.shown) + cell_len(word) + 3
