"""Two lines at the top: which engine, are we connected, what does it do, what waits for you.

Each fact is a cell of its own, so that the countdown repaints nine characters a second and
nothing else.
"""

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from tui.panels.cell import Cell
from tui.rows import Header


class HeaderBar(Vertical):
    """The header of every screen."""

    def __init__(self) -> None:
        """Make the cells; they are held here, so that showing needs no look-up."""
        super().__init__()
        self.target = Cell(id="h-target")
        self.contact = Cell(id="h-contact", classes="right")
        self.activity = Cell(id="h-activity")
        self.cycle = Cell(id="h-cycle")
        self.next = Cell(id="h-next")
        self.version = Cell(id="h-version")
        self.held = Cell(id="h-held", classes="right")
        self.banner = Cell(id="h-banner")

    def compose(self) -> ComposeResult:
        """Lay the cells."""
        with Horizontal(classes="bar"):
            yield self.target
            yield self.contact
        with Horizontal(classes="bar"):
            yield self.activity
            yield self.cycle
            yield self.next
            yield self.version
            yield self.held
        yield self.banner

    def show(self, header: Header) -> None:
        """Show the facts; only cells that changed repaint."""
        self.target.show(header.target)
        self.contact.show(header.contact)
        self.activity.show(header.activity)
        self.cycle.show(header.cycle)
        self.next.show(header.next)
        self.version.show(header.version)
        self.held.show(header.held)
        self.banner.show(header.banner)
