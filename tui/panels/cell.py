"""Text that stands still: header cells, the banner, a dialog's words. Repaints only on change."""

from collections.abc import Sequence

from rich.text import Text

from tui.paint import Painted
from tui.words import Line


class Cell(Painted):
    """Shows one `Line`; takes no room while it is empty."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's name
        """Begin empty."""
        super().__init__(id=id, classes=classes)
        self.line = Line()
        self.display = False

    def show(self, line: Line) -> None:
        """Show a line; does nothing when it is the same as before."""
        if line == self.line:
            return
        resized = len(line.plain) != len(self.line.plain)
        self.line = line
        self.display = bool(line.spans)
        self.refresh(layout=resized)

    def render(self) -> Text:
        """Return the line."""
        return self.text_of(self.line)


class Note(Painted):
    """Shows a few lines, wrapped."""

    def __init__(self, lines: Sequence[Line] = (), *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        """Begin with these lines."""
        super().__init__(id=id)
        self.lines = tuple(lines)

    def show(self, lines: Sequence[Line]) -> None:
        """Show other lines."""
        if tuple(lines) != self.lines:
            self.lines = tuple(lines)
            self.refresh(layout=True)

    def render(self) -> Text:
        """Return the lines as one text."""
        text = Text("\n").join(self.text_of(line) for line in self.lines)
        text.no_wrap = False
        return text
