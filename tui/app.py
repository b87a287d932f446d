"""The cockpit: follows one engine, paints what changed, asks before it acts.

How it stays calm: events fold into the `View` as they come, but the screen is brought up to date
at most four times a second (twice over SSH), each widget repaints only what differs, and the only
thing that moves by itself is one countdown cell per second. How it stays up: a lost engine is a
state of the view, not an error, and what the engine refuses is a notice.

`q`, ctrl+q, ctrl+c and SIGTERM end this process's screen and nothing else.
"""

import asyncio
import base64
import gc
import os
import random
import sys
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from textual import work
from textual.app import App, SystemCommand
from textual.screen import Screen

from ouroboros.errors import OuroborosError
from ouroboros.model.state import Candidate
from ouroboros.model.text import safe_line, safe_text
from rpc import wire
from rpc.address import Address
from tui import asks
from tui.asks import Answer, Ask
from tui.keys import Where, binding_id, keys_for, remapped
from tui.leaving import leaving_on_sigterm
from tui.link import Connect, Link, dial
from tui.loader import Loader, ledger_line
from tui.others import told
from tui.player import Player
from tui.screens.deck import Deck
from tui.screens.live import InboxScreen, LiveScreen
from tui.settings import Settings, load
from tui.themes import MONOCHROME, THEMES
from tui.view import (
    Attached,
    Contact,
    Forget,
    Item,
    LedgerLines,
    View,
    advance,
    engine_now,
    find,
    ordered,
    waiting,
)
from tui.words import ASCII, UNICODE, Glyphs

LOCAL_PERIOD_S = 0.25
SSH_PERIOD_S = 0.5
LEDGER_PAGE = 100
BACKGROUND = "background"
RESYNC_AFTER_S = 1.0
COPY_LIMIT = 50_000
"""Characters; encoded they stay under the 74,994 bytes that terminals are known to take."""
FAREWELL = "The engine goes on. 'ouroboros tui' brings you back."


class Cockpit(App[int]):
    """The Textual application."""

    CSS_PATH = Path(__file__).with_name("app.tcss")  # absolute: also for subclasses elsewhere
    TITLE = "ouroboros"
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - Textual declares it
        (0, "-tiny"),
        (60, "-narrow"),
        (120, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012 - Textual declares it
        (0, "-flat"),
        (16, "-low"),
        (22, "-short"),
        (34, "-tall"),
    ]

    def __init__(
        self,
        connect: Connect,
        *,
        read_only: bool = False,
        ascii_only: bool = False,
        over_ssh: bool = False,
        farewell: str = FAREWELL,
        settings: Settings | None = None,
        player: Player | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Prepare; nothing is connected before the first paint.

        Args:
            connect: opens a connection to the engine.
            read_only: grey out every key that changes something.
            ascii_only: the terminal's character set is not Unicode.
            over_ssh: repaint half as often and never animate.
            farewell: what is printed when the person leaves.
            settings: a person's own keys and colours.
            player: the recording, where it is one that is shown and no engine.
            clock_ns: UTC now.
            jitter: a random number in [0, 1), for the back-off.
        """
        super().__init__()
        self.settings = settings or Settings()
        self.player = player
        self.owns_process = False
        """Whether nothing else lives in this process."""
        self.keys = remapped(self.settings.keys)
        self.ascii_only = ascii_only or self.settings.ascii
        self.subject = ""
        self._decks: dict[Where, Deck] = {}
        self.farewell = farewell
        self.clock_ns = clock_ns
        self.view = View(read_only=read_only, utc_offset_s=_utc_offset(clock_ns()))
        self.link = Link(connect, clock_ns=clock_ns, jitter=jitter)
        self.loader = Loader(self.link.call, self._spawn, self.paint_soon)
        self._period_s = SSH_PERIOD_S if over_ssh else LOCAL_PERIOD_S
        self._painted_s = 0.0
        self._paint_due = False
        self._resync_due = False
        self._reading_ledger = False
        self._loop_of_screen: asyncio.AbstractEventLoop | None = None
        if over_ssh:
            self.animation_level = "none"

    @property
    def glyphs(self) -> Glyphs:
        """The symbols that this terminal can show."""
        return ASCII if self.ascii_only else UNICODE

    def get_default_screen(self) -> Screen[None]:
        """Return the first view."""
        live = LiveScreen(self.loader, id="_default")
        self._decks[Where.LIVE] = live
        return live

    def on_mount(self) -> None:
        """Paint first, then connect."""
        self._loop_of_screen = asyncio.get_running_loop()
        self._look()
        self.set_interval(1.0, self._tick)
        self.call_after_refresh(self._follow)

    def _look(self) -> None:
        if self.ascii_only:
            self.add_class("-ascii")
        for theme in THEMES:
            self.register_theme(theme)
        if self.settings.keys:
            mapped = {key.name: key.keys for key in self.keys if key.name in self.settings.keys}
            self.set_keymap(
                {
                    binding_id(where, key): mapped[key.name]
                    for where in Where
                    for key in keys_for(where)
                    if key.name in mapped
                }
            )
        wanted = self.settings.theme or os.environ.get("TEXTUAL_THEME", "")
        if wanted and wanted not in self.available_themes:
            self.say(f"There is no theme {wanted!r}.", severity="warning")
            wanted = ""
        few_colours = self.console.color_system in ("standard", "windows")
        usual = "ansi-dark" if few_colours and not self.is_headless else THEMES[0].name
        self.theme = wanted or usual
        if self.no_color:
            self.add_class(MONOCHROME)

    # --- following the engine -------------------------------------------------------------------

    @work(group="follow", exclusive=True)
    async def _follow(self) -> None:
        async for item in self.link.follow():
            self._fold(item)

    def _fold(self, item: Item) -> None:
        before = self.view
        self.view = advance(before, item)
        news = told(before, item) if self.player is None else ""
        if news:
            self.say(news)
        if isinstance(item, Attached):
            if self.owns_process and not before.attached:
                # What is there now stays; looking through all of it again and again is what
                # makes one key in a hundred late.
                gc.freeze()
            self.loader.forget(failures_only=True)
            if self.view.older > 0 and not self.view.ledger:
                self.fetch_ledger()
        if self.view.resync and not self._resync_due:
            self._resync_due = True
            self.set_timer(RESYNC_AFTER_S, self._resync)
        if self.view.contact is not before.contact:
            self.paint_now()
        else:
            self.paint_soon()

    async def _resync(self) -> None:
        self._resync_due = False
        if self.view.resync:
            await self.link.resync()

    def refresh_all(self) -> None:
        """Read everything again; while the engine is away, try again at once."""
        self.loader.forget()
        if self.view.contact is Contact.LIVE:
            self._spawn(self.link.resync())
        else:
            self.link.nudge()
        self.paint_soon()

    def fetch_ledger(self) -> None:
        """Read the next page of older ledger entries, if there is one."""
        if self.view.older > 0 and not self._reading_ledger:
            self._reading_ledger = True
            self._spawn(self._read_ledger(self.view.older))

    async def _read_ledger(self, before: int) -> None:
        try:
            page = await self.link.call(wire.LedgerList(before=before, limit=LEDGER_PAGE))
        except OuroborosError as error:
            self.say_error(error)
            return
        finally:
            self._reading_ledger = False
        rows = tuple(ledger_line(row) for row in page.rows)
        self._fold(LedgerLines(lines=rows, older=page.next))

    def _spawn(self, work: Any) -> object:
        return self.run_worker(work, group=BACKGROUND)

    # --- painting -------------------------------------------------------------------------------

    def paint_soon(self) -> None:
        """Bring the screen up to date within the period; many changes become one repaint."""
        if self._paint_due or not self.is_running:
            return
        self._paint_due = True
        wait = self._painted_s + self._period_s - time.monotonic()
        if wait <= 0:
            self.call_next(self._paint)
        else:
            self.set_timer(wait, self._paint)

    def paint_now(self) -> None:
        """Bring the screen up to date: somebody pressed a key."""
        self._paint_due = True
        self._paint()

    def _paint(self) -> None:
        if not self._paint_due:
            return
        self._paint_due = False
        self._painted_s = time.monotonic()
        now = self.clock_ns()
        for screen in reversed(self.screen_stack):
            show = getattr(screen, "show", None)
            if show is not None and screen.is_mounted and screen.is_attached:
                show(self.view, now)
            if isinstance(screen, Deck):
                break  # what lies under a view is not seen

    def _tick(self) -> None:
        # While the application closes, its screens are gone before its timers are.
        for top in self.screen_stack[-1:]:
            if isinstance(top, Deck):
                top.tick(self.view, self.clock_ns())

    # --- going about ----------------------------------------------------------------------------

    def go(self, where: Where, *, about: str = "", over: bool = False) -> None:
        """Go to a view: in place of where one is, or on top of it (`over`).

        Args:
            where: the view.
            about: the candidate that the candidate's view is about; the last one if empty.
            over: `esc` leads back to the view that one comes from.
        """
        if about:
            self.subject = about
        if where is Where.CANDIDATE and find(self.view, self.subject) is None and not about:
            self.subject = next((c.id for c in ordered(self.view)), "")
        deck = self._deck(where)
        if not over:
            while len(self.screen_stack) > 1 and self.screen is not deck:
                self.pop_screen()
        if self.screen is not deck:
            self.push_screen(deck)
        self.paint_soon()

    def _deck(self, where: Where) -> Deck:
        """Return a view's screen; made once, so that cursors stay where they were."""
        deck = self._decks.get(where)
        if deck is None:
            deck = self._decks[where] = _made(where, self.loader)
            self.install_screen(deck, where.value)
        return deck

    def go_back(self) -> None:
        """Leave the view for the one under it."""
        if len(self.screen_stack) > 1:
            self.pop_screen()

    def go_waiting(self) -> None:
        """Go to the oldest candidate that waits for a human."""
        if not waiting(self.view):
            self.say("Nothing waits for a human.")
            return
        self.go(Where.INBOX)
        deck = self._decks[Where.INBOX]
        if isinstance(deck, InboxScreen):
            self.call_after_refresh(deck.first)

    # --- asking and acting ----------------------------------------------------------------------

    def ask(self, ask: Ask) -> None:
        """Open the question; what follows a yes runs in the background."""
        from tui.screens.confirm import ConfirmScreen

        def answered(answer: Answer | None) -> None:
            if answer is not None:
                self._spawn(self._carry_out(ask, answer))

        self.push_screen(ConfirmScreen(ask, self.view), answered)

    async def _carry_out(self, ask: Ask, answer: Answer) -> None:
        subject = safe_line(ask.candidate) or (f"v{ask.to}" if ask.to else "")
        self.say(f"{answer.choice.label} {subject}".strip() + ": asked the engine.")
        try:
            now = engine_now(self.view, self.clock_ns())
            await self.link.call(asks.request_of(ask, answer, engine_ns=now))
        except OuroborosError as error:
            self.say_error(error)
            return
        self.say(f"{subject} {answer.choice.done}".strip())

    def pause_now(self) -> None:
        """Pause now and cancel what is being evaluated; asks nothing, since it can be resumed."""
        self.say("Pausing now: asked the engine.", severity="warning")
        self._spawn(self._panic())

    async def _panic(self) -> None:
        try:
            await self.link.call(wire.EnginePause(reason="panic key", mode="now"))
        except OuroborosError as error:
            self.say_error(error)
            return
        self.say("Paused now; evaluations are cancelled. space resumes.", severity="warning")

    def forget_progress(self) -> None:
        """Drop the progress of what is no candidate: it is over."""
        self._fold(Forget())

    def ask_rollback(self, candidate: Candidate | None, version: int) -> None:
        """Fetch what a rollback would do, then ask."""
        self._spawn(self._preview(candidate, version))

    async def _preview(self, candidate: Candidate | None, version: int) -> None:
        try:
            preview = await self.link.call(asks.preview_request(candidate, version))
        except OuroborosError as error:
            self.say_error(error)
            return
        self.ask(
            asks.ask_rollback(self.view, preview, candidate=candidate, glyphs=self.glyphs),
        )

    def say(
        self,
        text: str,
        *,
        title: str = "",
        severity: Literal["information", "warning", "error"] = "information",
    ) -> None:
        """Show a notice. Foreign text may be in it, so it is never parsed as markup."""
        wait = 12.0 if severity == "error" else 4.0
        clean = safe_text(text, limit=600)
        self.notify(clean, title=title, severity=severity, timeout=wait, markup=False)

    def say_error(self, error: OuroborosError) -> None:
        """Show what the engine refused, and what to do next."""
        hint = f"\n{error.hint}" if error.hint else ""
        self.say(f"{error.message}{hint}", title=error.rpc_name, severity="error")

    def copy(self, text: str) -> None:
        """Copy one short text through the terminal, and through tmux where it runs in one."""
        clean = safe_line(text, limit=COPY_LIMIT)
        self.copy_to_clipboard(clean)
        self.say(f"Copied {safe_line(clean, limit=80)} (if your terminal allows OSC 52).")

    def copy_to_clipboard(self, text: str) -> None:
        """Write OSC 52; Textual's own knows no tmux and no size."""
        self._clipboard = text
        if self._driver is not None:
            self._driver.write(osc52(text, in_tmux=bool(os.environ.get("TMUX"))))

    # --- leaving --------------------------------------------------------------------------------

    def leave(self) -> None:
        """End the cockpit; the engine goes on."""
        self.exit(0, message=self.farewell)

    def told_to_leave(self, code: int) -> bool:
        """Leave as `q` does, with an exit code; may be called in a signal handler.

        Returns False where there is no screen (yet, or any more).
        """
        loop = self._loop_of_screen
        if loop is None or not self.is_running:
            return False
        leave = partial(self.exit, return_code=code, message=self.farewell)
        loop.call_soon_threadsafe(leave)
        return True

    async def action_quit(self) -> None:
        """ctrl+q: the same as q."""
        self.leave()

    def action_help_quit(self) -> None:
        """ctrl+c: a reflex; say what it does not do."""
        self.say("q leaves the cockpit. The engine goes on either way.")

    async def on_unmount(self) -> None:
        """Hang up."""
        await self.link.close()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Offer the keys of the screen, where they are possible, and the themes."""
        if isinstance(screen, Deck):
            for key in keys_for(screen.WHERE, self.keys):
                if key.name in ("palette", "down", "up", "top", "bottom", "back"):
                    continue
                if not screen.obstacle(key.action):
                    title = f"{key.label} ({key.shown})"
                    yield SystemCommand(title, key.help, _runner(screen, key.action))
        yield SystemCommand("Theme", "Change the colours", self.action_change_theme)


def _made(where: Where, loader: Loader) -> Deck:
    """Make the screen of a view; its module is imported when somebody first goes there."""
    name = "live" if where is Where.INBOX else where.value
    module = import_module(f"tui.screens.{name}")
    made: Deck = getattr(module, f"{where.value.capitalize()}Screen")(loader)
    return made


def _runner(screen: Deck, action: str) -> Callable[[], Any]:
    async def run() -> None:
        await screen.run_action(action)

    return run


def _utc_offset(now_ns: int) -> int:
    offset = datetime.fromtimestamp(now_ns / 1e9).astimezone().utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def osc52(text: str, *, in_tmux: bool) -> str:
    """Return the sequence that copies a text through the terminal.

    tmux passes one on only if it is wrapped (and `allow-passthrough` is on).
    """
    coded = base64.b64encode(text.encode()).decode()
    sequence = f"\x1b]52;c;{coded}\x07"
    return f"\x1bPtmux;\x1b{sequence}\x1b\\" if in_tmux else sequence


def speaks_unicode(encoding: str | None) -> bool:
    """Whether a terminal that is written to in this encoding can show the symbols."""
    return (encoding or "").lower().replace("-", "").startswith(("utf8", "utf16", "utf32"))


def run(
    address: Path | Address | Connect,
    *,
    read_only: bool = False,
    farewell: str = FAREWELL,
    player: Player | None = None,
    clock_ns: Callable[[], int] = time.time_ns,
) -> int:
    """Run the cockpit in this terminal until the person leaves it.

    Args:
        address: where the engine is; it need not be there yet, the cockpit waits for it. Or what
            connects to something that answers as one.
        read_only: look, do not act.
        farewell: what is printed on leaving.
        player: the recording, where it is one that is shown.
        clock_ns: UTC now.

    Raises:
        ConfigError: the person's own settings are not valid.
    """
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)  # exported once, they would outlive every resize
    app = Cockpit(
        address if callable(address) else dial(address),
        settings=load(),
        player=player,
        clock_ns=clock_ns,
        read_only=read_only,
        ascii_only=not speaks_unicode(getattr(sys.__stdout__, "encoding", None)),
        over_ssh=bool(os.environ.get("SSH_CONNECTION")),
        farewell=farewell,
    )
    app.owns_process = True
    with leaving_on_sigterm(app.told_to_leave):
        return app.run() or app.return_code or 0
