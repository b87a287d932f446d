"""What all full screens share: header, key bar, keys from the one table, and asking before acting.

A key that is not possible now is greyed by `check_action`. Pressing it anyway says why in a
notice: a dead key without a word makes people press it again, harder.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.screen import Screen

from ouroboros.model.state import Candidate
from tui import asks
from tui.keys import Key, Where, keys_for
from tui.panels.cell import Cell
from tui.panels.header import HeaderBar
from tui.panels.strips import KeyBar
from tui.rows import contact, header, next_cycle
from tui.view import View
from tui.words import Glyphs, line

if TYPE_CHECKING:
    from tui.app import Cockpit

SMALLEST = (60, 16)
RESIZE_SETTLES_S = 0.4


def bindings_for(where: Where) -> list[BindingType]:
    """Return Textual bindings for the keys of a screen."""
    return [
        Binding(key.keys, key.action, key.label, show=False, id=f"{where.value}.{key.name}")
        for key in keys_for(where)
    ]


class Deck(Screen[None]):
    """Root of the full screens."""

    WHERE: ClassVar[Where]

    app: "Cockpit"

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        """Make what all screens have.

        Widgets are held as attributes, here and in the screens: a repaint then needs no look-up,
        and one that comes while the screen is being taken down does no harm.
        """
        super().__init__(id=id)
        self.header = HeaderBar()
        self.small = Cell(id="small")
        self.bar = KeyBar()

    # --- what a screen says of itself -----------------------------------------------------------

    @property
    def chosen(self) -> Candidate | None:
        """The candidate that keys act on."""
        return None

    @property
    def version(self) -> int:
        """The version that keys act on, -1 where there is none."""
        return -1

    @property
    def glyphs(self) -> Glyphs:
        """The symbols that this terminal can show."""
        return self.app.glyphs

    # --- painting -------------------------------------------------------------------------------

    def show(self, view: View, now_ns: int) -> None:
        """Bring everything up to date; widgets repaint only what changed."""
        self.header.show(header(view, now_ns, self.glyphs))
        self.bar.show(tuple(self._bar(view)))

    def tick(self, view: View, now_ns: int) -> None:
        """A second passed: only the clocks move."""
        self.header.next.show(next_cycle(view, now_ns))
        self.header.contact.show(contact(view, now_ns, self.glyphs))

    def _bar(self, view: View) -> Sequence[tuple[Key, str, bool]]:
        items = []
        for key in keys_for(self.WHERE):
            if not key.bar:
                continue
            unfit = asks.unfit(view, key.action, candidate=self.chosen, version=self.version)
            if unfit and key.action != "trigger":
                continue
            word = "Resume" if key.action == "pause" and view.state.paused else key.label
            items.append((key, word, not unfit and not asks.barred(view, key.action)))
        return items

    @on(KeyBar.Pressed)
    async def _clicked(self, message: KeyBar.Pressed) -> None:
        await self.run_action(message.key.action)

    def on_screen_resume(self) -> None:
        """Be current at once when this screen comes (back) to the top, also without news."""
        self.show(self.app.view, self.app.clock_ns())

    def on_resize(self, event: events.Resize) -> None:
        """Say so when there is no room; lay rows anew for the new width."""
        width, height = SMALLEST
        small = event.size.width < width or event.size.height < height
        text = f"terminal too small: {event.size.width}x{event.size.height}, need {width}x{height}"
        self.small.show(line((text if small else "", "wait")))
        self.app.paint_soon()
        # Terminals (tmux for one) may clear what was painted while they still resize.
        self.set_timer(RESIZE_SETTLES_S, self.refresh)

    # --- what is possible -----------------------------------------------------------------------

    def obstacle(self, action: str) -> str:
        """Why an action is not possible here and now; or empty."""
        return asks.obstacle(
            self.app.view,
            action,
            candidate=self.chosen,
            version=self.version,
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - Textual's signature
        """Grey what is not possible now."""
        return None if self.obstacle(action) else True

    def on_key(self, event: events.Key) -> None:
        """Say why, when a key of the table did nothing."""
        for key in keys_for(self.WHERE):
            if event.key in key.keys.split(","):
                why = self.obstacle(key.action)
                if why:
                    self.app.say(why, severity="warning")

    # --- actions of all screens -----------------------------------------------------------------

    def action_pause(self) -> None:
        """Ask to pause, or to resume."""
        self.app.ask(asks.ask_pause(self.app.view))

    def action_trigger(self) -> None:
        """Ask to start a cycle."""
        self.app.ask(asks.ask_trigger(self.app.view))

    def action_rollback(self) -> None:
        """Fetch the preview, then ask."""
        self.app.ask_rollback(self.chosen, self.version)

    def action_refresh(self) -> None:
        """Read everything again."""
        self.app.refresh_all()

    def action_help(self) -> None:
        """Show the keys."""
        from tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(self.WHERE))

    def action_leave(self) -> None:
        """Leave the cockpit."""
        self.app.leave()

    def action_move(self, direction: str) -> None:
        """Move in whatever has the focus, as its arrow keys would."""
        focused = self.focused
        if focused is not None:
            getattr(focused, f"action_scroll_{direction}", lambda: None)()
