"""The question before anything changes. Cancel has the focus; Enter right away does nothing.

The question is bound to what was selected when the key was pressed. The world goes on behind it:
`show` is called at each repaint, and when the subject moved (or the engine went away) the dialog
says so and yes is no longer possible.
"""

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input

from tui.asks import Answer, Ask, changed
from tui.panels.cell import Cell, Note
from tui.view import View
from tui.words import line

REASON_LIMIT = 500


class ConfirmScreen(ModalScreen[Answer | None]):
    """One question, with an optional reason; some want the short id typed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel"),
        Binding("left", "step(-1)", "Previous", show=False),
        Binding("right", "step(1)", "Next", show=False),
        Binding("up", "app.focus_previous", "Up", show=False),
        Binding("down", "app.focus_next", "Down", show=False),
    ]
    AUTO_FOCUS = "#cancel"

    def __init__(self, ask: Ask, view: View) -> None:
        """Bind to a question as it was when the key was pressed."""
        super().__init__()
        self.ask = ask
        self._moved = ask.blocked or changed(ask, view)
        self.warning = Cell(id="warning")
        self.no = Button("Cancel", id="cancel", compact=True)
        self.yes = tuple(
            Button(choice.label, id=f"yes-{number}", compact=True, classes="yes")
            for number, choice in enumerate(ask.choices)
        )
        self.typed = Input(
            placeholder=f"type {ask.typed} to confirm",
            compact=True,
            select_on_focus=False,  # the first character may arrive before the focus
            id="typed",
        )
        self.reason = Input(
            placeholder=f"reason, for the ledger ({'needed' if ask.needs_reason else 'optional'})",
            compact=True,
            max_length=REASON_LIMIT,
            id="reason",
        )

        self.entry = Input(ask.value, placeholder=ask.entry, compact=True, id="entry")

    def compose(self) -> ComposeResult:
        """Lay the dialog."""
        with Vertical(id="dialog"):
            yield Cell(id="title")
            with VerticalScroll(id="facts", can_focus=False):
                yield Note(self.ask.lines)
            yield self.warning
            if self.ask.entry:
                yield self.entry
            if self.ask.typed:
                yield self.typed
            if self.ask.reason:
                yield self.reason
            with Horizontal(id="buttons"):
                yield self.no
                yield from self.yes

    def on_mount(self) -> None:
        """Show the title and what stands in the way."""
        self.query_one("#title", Cell).show(line((self.ask.title, "head")))
        self._refresh_state()

    def show(self, view: View, _now_ns: int) -> None:
        """Look whether the subject is still what it was."""
        self._moved = self.ask.blocked or changed(self.ask, view)
        self._refresh_state()

    def _refresh_state(self) -> None:
        self.warning.show(line((self._moved, "bad")))
        closed = bool(self._moved) or not self._complete()
        for button in self.yes:
            if closed and button.has_focus:
                self.no.focus()
            button.disabled = closed

    def _typed_right(self) -> bool:
        if not self.ask.typed:
            return True
        return self.typed.value.strip() == self.ask.typed

    def _complete(self) -> bool:
        """Whether all is there that a yes needs."""
        said = bool(self.reason.value.strip()) or not self.ask.needs_reason
        return said and self._typed_right()

    @on(Input.Changed)
    def _typing(self) -> None:
        self._refresh_state()

    @on(Input.Submitted)
    def _entered(self, message: Input.Submitted) -> None:
        """Enter in a text field never confirms; it goes on to the next thing."""
        message.stop()
        self.focus_next()

    def on_key(self, event: events.Key) -> None:
        """Typing goes to the field for the short id, wherever the focus is."""
        if not self.ask.typed or not event.is_printable or event.character is None:
            return
        if isinstance(self.focused, Input) or event.character == " ":
            return
        self.typed.focus()
        self.typed.insert_text_at_cursor(event.character)
        event.stop()

    def action_step(self, step: int) -> None:
        """Go to the next button that works; stay at the ends."""
        buttons = [button for button in (self.no, *self.yes) if not button.disabled]
        at = next((i for i, button in enumerate(buttons) if button.has_focus), 0)
        # Not Widget.focus(), which comes a moment later: an Enter right behind must find it.
        self.set_focus(buttons[max(0, min(len(buttons) - 1, at + step))])

    @on(Button.Pressed, "#cancel")
    def _cancelled(self) -> None:
        self.dismiss(None)

    def action_cancel(self) -> None:
        """Change nothing."""
        self.dismiss(None)

    @on(Button.Pressed, ".yes")
    def _confirmed(self, message: Button.Pressed) -> None:
        if self._moved or not self._complete():
            return
        choice = self.ask.choices[self.yes.index(message.button)]
        answer = Answer(choice=choice, reason=self.reason.value.strip(), value=self.entry.value)
        self.dismiss(answer)
