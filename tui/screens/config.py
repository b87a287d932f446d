"""The configuration in force: every value, where it comes from, and a way to change limits."""

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from textual.widget import Widget

from ouroboros.model.oversight import GovernorStatus
from ouroboros.model.text import safe_line
from rpc import wire
from tui import asks
from tui.keys import Where
from tui.loader import Failed, Loader
from tui.panels.cell import Note
from tui.panels.detail import waiting
from tui.panels.rowlist import RowList
from tui.rows import Row, config_columns
from tui.screens.deck import Deck, bindings_for
from tui.view import View
from tui.words import Line, line


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One value in force. `source`: `run time`, `file` or `default`; `live`: changeable now."""

    key: str
    value: str
    source: str
    live: bool


class ConfigScreen(Deck):
    """The list, and what can be done with the selected value."""

    WHERE = Where.CONFIG
    BINDINGS = bindings_for(Where.CONFIG)
    AUTO_FOCUS = "#config"

    def __init__(self, loader: Loader) -> None:
        """Make the panels."""
        super().__init__(loader)
        self.table = RowList(id="config")
        self.note = Note(id="option")
        self._options: dict[str, Option] = {}
        self._read: tuple[object, ...] = ()

    def body(self) -> Iterator[Widget]:
        """Lay the list above the note."""
        yield self.table
        yield self.note

    @property
    def main(self) -> Widget:
        """The list."""
        return self.table

    @property
    def trail(self) -> tuple[str, ...]:
        """The option."""
        return (self.table.key,) if self.table.key else ()

    @property
    def copied(self) -> str:
        """The line as it could stand in the file."""
        chosen = self._options.get(self.table.key)
        return f"{chosen.key.rpartition('.')[2]} = {chosen.value}" if chosen else ""

    def unfit(self, view: View, action: str) -> str:
        """Why the selected value cannot be changed here."""
        if action != "edit":
            return super().unfit(view, action)
        chosen = self._options.get(self.table.key)
        if chosen is None:
            return "No value is selected."
        return "" if chosen.live else "Only the file can change this; edit ouroboros.toml."

    def _found(self, view: View) -> tuple[Any, Any]:
        loader, stamp = self.loader, f"{view.state.config_hash} {view.state.overrides}"
        config = loader.current("config", stamp, wire.ConfigGet())
        governor = loader.current("governor", str(view.state.seq), wire.GovernorStatusGet())
        return config, governor

    def fill(self, view: View, now_ns: int) -> None:  # noqa: ARG002 - a view's signature
        """Bring list and note up to date."""
        config, governor = self._found(view)
        if not isinstance(config, wire.ConfigResult):
            self.note.show(waiting(config, "Asking for the configuration."))
            return
        live = (
            {one.key for one in governor.limits} if isinstance(governor, GovernorStatus) else set()
        )
        about = (id(config), frozenset(live))
        if about != self._read:
            self._read = about
            self._options = {one.key: one for one in options(config, live)}
        wanted = self.wanted.casefold().split()
        width = self.table.size.width
        rows = [
            _row(one)
            for one in self._options.values()
            if all(word in f"{one.key} {one.value} {one.source}".casefold() for word in wanted)
        ]
        self.table.show(config_columns(width), rows)
        self.note.show(self._about(config))

    def _about(self, config: wire.ConfigResult) -> tuple[Line, ...]:
        chosen = self._options.get(self.table.key)
        if chosen is None:
            return (line(("Nothing fits the filter.", "dim")),)
        how = "e changes it at run time (admins)" if chosen.live else "only the file can change it"
        return (
            line((chosen.key, "strong"), (f"  from {chosen.source}; {how}", "dim")),
            line(safe_line(chosen.value, limit=600)),
            line(("policy ", "dim"), (safe_line(config.hash)[:16], "dim")),
        )

    def on_row_list_moved(self) -> None:
        """Show what the cursor stands on."""
        self.app.paint_now()

    def action_edit(self) -> None:
        """Ask for the new value; the engine checks it."""
        chosen = self._options.get(self.table.key)
        config, _ = self._found(self.app.view)
        if chosen is not None and isinstance(config, wire.ConfigResult):
            self.app.ask(asks.ask_edit(chosen.key, chosen.value, config.hash, chosen.source))


def options(config: wire.ConfigResult | Failed, live: set[str]) -> list[Option]:
    """Return every option with the value in force and where it comes from, in the file's order."""
    if isinstance(config, Failed):
        return []
    try:
        said = set(_flat(tomllib.loads(config.text)))
    except tomllib.TOMLDecodeError:
        said = set()
    found = []
    for key, value in _flat(config.values).items():
        source = "default"
        if key in config.overrides:
            source = "run time"
        elif key in said:
            source = "file"
        found.append(Option(key=key, value=written(value), source=source, live=key in live))
    return found


def _flat(table: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return the options of a table by dotted keys."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        key = f"{before}{safe_line(str(name), limit=60)}"
        if isinstance(value, Mapping) and value:
            found |= _flat(value, f"{key}.")
        else:
            found[key] = value
    return found


def written(value: Any) -> str:
    """Return a value as it stands in the file, about: TOML's lists and texts are JSON's."""
    return msgspec.json.encode(value).decode()


def _row(one: Option) -> Row:
    role = {"run time": "wait", "file": "info"}.get(one.source, "dim")
    return Row(
        one.key,
        (
            line(one.key),
            line((safe_line(one.value, limit=200), "strong" if one.source != "default" else "")),
            line((one.source, role)),
        ),
    )
