"""All keys, from the same table as the bindings."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from tui.keys import KEYS, Key, Where
from tui.panels.cell import Cell
from tui.panels.lines import Lines
from tui.words import Line, line


class HelpScreen(ModalScreen[None]):
    """A list to scroll through."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "dismiss", "Close"),
        Binding("j", "scroll('down')", "Down", show=False),
        Binding("k", "scroll('up')", "Up", show=False),
        Binding("g", "scroll('home')", "Top", show=False),
        Binding("G", "scroll('end')", "Bottom", show=False),
    ]
    AUTO_FOCUS = "#keys"

    def __init__(self, where: Where, table: tuple[Key, ...] = KEYS) -> None:
        """Remember from where it was called, and a person's own keys."""
        super().__init__()
        self._where = where
        self._table = table

    def compose(self) -> ComposeResult:
        """Lay the list."""
        with Vertical(id="help"):
            yield Cell(id="help-title")
            yield Lines(wrap=True, id="keys")

    def on_mount(self) -> None:
        """Fill the list."""
        self.query_one("#help-title", Cell).show(line(("Keys", "head"), ("   esc closes", "dim")))
        self.query_one("#keys", Lines).show(help_lines(self._where, self._table))

    def action_scroll(self, direction: str) -> None:
        """Scroll the list."""
        getattr(self.query_one("#keys", Lines), f"action_scroll_{direction}")()


def help_lines(where: Where, table: tuple[Key, ...] = KEYS) -> tuple[Line, ...]:
    """Return the help: what acts on the engine, then the rest; greyed what is not for here."""
    acting = [key for key in table if key.role]
    looking = [key for key in table if not key.role]
    return (
        line(
            (
                "These change something. They ask first, and Cancel is the default (but ! and y).",
                "head",
            )
        ),
        *(_row(key, where) for key in acting),
        Line(),
        line(("These only look.", "head")),
        *(_row(key, where) for key in looking),
        Line(),
        line(
            (
                "Keys can be changed in cockpit.toml (docs/tui.md); names are those of the help.",
                "dim",
            )
        ),
        line(("The engine runs by itself. Closing this cockpit never stops it.", "dim")),
    )


def _row(key: Key, where: Where) -> Line:
    here = where in key.where
    return line(
        (f"  {key.shown:<10}", "key-name" if here else "muted"),
        (key.help, "" if here else "muted"),
        (f" ({key.role})" if key.role else "", "dim"),
        hang=12,
    )
