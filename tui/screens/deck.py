"""What all views share: header, strip of views, key bar, filter, and asking before acting.

A key that is not possible now is greyed by `check_action`. Pressing it anyway says why in a
notice: a dead key without a word makes people press it again, harder.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from ouroboros.model.state import Candidate
from tui import asks
from tui.keys import Key, Where, binding_id, keys_for
from tui.loader import Loader
from tui.panels.cell import Cell
from tui.panels.header import HeaderBar
from tui.panels.strips import KeyBar, ViewBar
from tui.rows import contact, crumbs, header, next_cycle
from tui.view import View
from tui.words import Glyphs, line

if TYPE_CHECKING:
    from tui.app import Cockpit

SMALLEST = (60, 16)
RESIZE_SETTLES_S = 0.4


def bindings_for(where: Where) -> list[BindingType]:
    """Return Textual bindings for the keys of a view."""
    return [
        Binding(key.keys, key.action, key.label, show=False, id=binding_id(where, key))
        for key in keys_for(where)
    ]


class Deck(Screen[None]):
    """Root of the views."""

    WHERE: ClassVar[Where]

    app: "Cockpit"

    def __init__(self, loader: Loader, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        """Make what all views have.

        Widgets are held as attributes, here and in the views: a repaint then needs no look-up,
        and one that comes while the screen is being taken down does no harm.
        """
        super().__init__(id=id)
        self.loader = loader
        self.header = HeaderBar()
        self.strip = ViewBar()
        self.small = Cell(id="small")
        self.box = Input(placeholder="show only what contains...", compact=True, id="filter")
        self.box.display = False
        self.bar = KeyBar()

    def compose(self) -> ComposeResult:
        """Lay the frame, and the view's own body in it."""
        yield self.header
        yield self.strip
        yield self.small
        with Container(id="body", classes=f"view-{self.WHERE.value}"):
            yield from self.body()
        yield self.box
        yield self.bar

    # --- what a view says of itself -------------------------------------------------------------

    def body(self) -> Iterator[Widget]:
        """Make the view's own widgets."""
        raise NotImplementedError

    @property
    def main(self) -> Widget:
        """The widget that has the focus at first, and after a filter."""
        raise NotImplementedError

    def fill(self, view: View, now_ns: int) -> None:
        """Bring the view's own widgets up to date."""
        raise NotImplementedError

    @property
    def trail(self) -> tuple[str, ...]:
        """The steps below the view, for the strip."""
        return ()

    @property
    def chosen(self) -> Candidate | None:
        """The candidate that keys act on."""
        return None

    @property
    def version(self) -> int:
        """The version that keys act on, -1 where there is none."""
        return -1

    @property
    def copied(self) -> str:
        """What `c` copies; empty where there is nothing."""
        return ""

    def unfit(self, view: View, action: str) -> str:
        """Why what is selected is not fit for an action; or empty."""
        return asks.unfit(view, action, candidate=self.chosen, version=self.version)

    @property
    def glyphs(self) -> Glyphs:
        """The symbols that this terminal can show."""
        return self.app.glyphs

    # --- painting -------------------------------------------------------------------------------

    def show(self, view: View, now_ns: int) -> None:
        """Bring everything up to date; widgets repaint only what changed."""
        self.fill(view, now_ns)
        player = self.app.player
        said = player.says() if player is not None else ""
        self.header.show(header(view, now_ns, self.glyphs, playing=said))
        width = self.size.width
        self.strip.show(crumbs(view, self.WHERE, self.trail, width, self.app.keys))
        self.bar.show(tuple(self._bar(view)))

    def tick(self, view: View, now_ns: int) -> None:
        """A second passed: only the clocks move."""
        self.header.next.show(next_cycle(view, now_ns))
        self.header.contact.show(contact(view, now_ns, self.glyphs))

    def _bar(self, view: View) -> Sequence[tuple[Key, str, bool]]:
        items = []
        for key in keys_for(self.WHERE, self.app.keys):
            if not key.bar:
                continue
            unfit = self.unfit(view, key.action)
            if unfit and key.action != "trigger":
                continue
            word = "Resume" if key.action == "pause" and view.state.paused else key.label
            items.append((key, word, not unfit and not self.obstacle(key.action)))
        return items

    @on(KeyBar.Pressed)
    async def _clicked(self, message: KeyBar.Pressed) -> None:
        await self.run_action(message.key.action)

    @on(ViewBar.Picked)
    async def _picked_view(self, message: ViewBar.Picked) -> None:
        await self.run_action(message.action)

    def on_screen_resume(self) -> None:
        """Be current at once when this view comes (back) to the top, also without news."""
        self.show(self.app.view, self.app.clock_ns())
        if self.focused is None:
            self.main.focus()

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
        view = self.app.view
        if self.app.player is not None and action == "pause":
            return ""
        if self.app.player is None and action.partition("(")[0] in ("speed", "one"):
            return "Only in a replay."
        return asks.barred(view, action) or self.unfit(view, action)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - Textual's signature
        """Grey what is not possible now."""
        return None if self.obstacle(action) else True

    def on_key(self, event: events.Key) -> None:
        """Say why, when a key of the table did nothing."""
        for key in keys_for(self.WHERE, self.app.keys):
            if event.key in key.keys.split(","):
                why = self.obstacle(key.action)
                if why:
                    self.app.say(why, severity="warning")

    # --- actions of all views -------------------------------------------------------------------

    def action_view(self, name: str) -> None:
        """Go to a view."""
        self.app.go(Where(name), about=self.chosen.id if self.chosen else "")

    def action_waiting(self) -> None:
        """Go to the oldest candidate that waits for a human."""
        self.app.go_waiting()

    def action_speed(self, factor: float) -> None:
        """Play the recording faster, or slower."""
        if self.app.player is not None:
            self.app.player.faster(factor)
            self.app.paint_now()

    def action_one(self) -> None:
        """Show the recording's next entry."""
        if self.app.player is not None:
            self.app.player.step()
            self.app.paint_now()

    def action_pause(self) -> None:
        """Ask to pause, or to resume; a recording stops, or goes on, at once."""
        if self.app.player is not None:
            self.app.player.toggle()
            self.app.paint_now()
            return
        self.app.ask(asks.ask_pause(self.app.view))

    def action_panic(self) -> None:
        """Pause now, without a question: it stops, and can be resumed."""
        self.app.pause_now()

    def action_trigger(self) -> None:
        """Ask to start a cycle."""
        self.app.ask(asks.ask_trigger(self.app.view))

    def action_rollback(self) -> None:
        """Fetch the preview, then ask."""
        self.app.ask_rollback(self.chosen, self.version)

    def action_refresh(self) -> None:
        """Read everything again."""
        self.app.refresh_all()

    def action_copy(self) -> None:
        """Copy what is selected."""
        if self.copied:
            self.app.copy(self.copied)

    def action_help(self) -> None:
        """Show the keys."""
        from tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(self.WHERE, self.app.keys))

    def action_leave(self) -> None:
        """Leave the cockpit."""
        self.app.leave()

    def action_move(self, direction: str) -> None:
        """Move in whatever has the focus, as its arrow keys would."""
        focused = self.focused
        if focused is not None:
            getattr(focused, f"action_scroll_{direction}", lambda: None)()

    def action_back(self) -> None:
        """One step back: the filter, then the view."""
        if self.box.display:
            self.end_filter(keep=False)
        else:
            self.app.go_back()

    # --- filter ---------------------------------------------------------------------------------

    @property
    def wanted(self) -> str:
        """The words of the filter."""
        return self.box.value.strip() if self.box.display else ""

    def action_filter(self) -> None:
        """Open the filter."""
        self.box.display = True
        self.box.focus()

    @on(Input.Changed, "#filter")
    def _filter_changed(self) -> None:
        self.app.paint_soon()

    @on(Input.Submitted, "#filter")
    def _filter_done(self) -> None:
        self.end_filter(keep=True)

    def end_filter(self, *, keep: bool) -> None:
        """Leave the filter's box; with `keep` it stays in force."""
        if not keep or not self.box.value.strip():
            self.box.value = ""
            self.box.display = False
        self.main.focus()
        self.app.paint_soon()
