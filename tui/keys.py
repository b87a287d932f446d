"""The one table of keys: bindings, footer, help and command palette are all made from it.

Keys that change something are marked with the role that they need; the dangerous ones are
shifted, and none of them sits where a hand that moves about (`j k g G n p`) would hit it.
"""

from enum import StrEnum

import msgspec


class Where(StrEnum):
    """The screens on which a key means something."""

    LIVE = "live"
    VERSIONS = "versions"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One row: `keys` as Textual names them, `shown` as a person would say them.

    `role` is the least role on the engine for keys that change something, else empty. `bar` is
    the place in the footer, 0 for keys that only the help lists. `name` is the binding's id, by
    which a user may later map it to other keys.
    """

    name: str
    keys: str
    shown: str
    action: str
    label: str
    help: str
    where: frozenset[Where] = frozenset(Where)
    role: str = ""
    bar: int = 0


_LIVE = frozenset({Where.LIVE})

KEYS: tuple[Key, ...] = (
    Key(
        name="pause",
        keys="space",
        shown="space",
        action="pause",
        label="Pause",
        help="Pause the loop, or resume it; stays so across a restart of the engine",
        role="operator",
        bar=1,
    ),
    Key(
        name="approve",
        keys="a",
        shown="a",
        action="approve",
        label="Approve",
        help="Say yes to the selected held candidate, exactly as it is shown",
        where=_LIVE,
        role="approver",
        bar=2,
    ),
    Key(
        name="reject",
        keys="x",
        shown="x",
        action="reject",
        label="Reject",
        help="Say no to the selected held candidate",
        where=_LIVE,
        role="approver",
        bar=3,
    ),
    Key(
        name="rollback",
        keys="R",
        shown="R",
        action="rollback",
        label="Roll back",
        help="Undo the selected promoted candidate, or return to the selected version",
        role="approver",
        bar=4,
    ),
    Key(
        name="cancel",
        keys="X",
        shown="X",
        action="cancel",
        label="Stop",
        help="Stop the selected candidate before it is promoted",
        where=_LIVE,
        role="operator",
        bar=5,
    ),
    Key(
        name="trigger",
        keys="t",
        shown="t",
        action="trigger",
        label="Trigger",
        help="Start a cycle now",
        role="operator",
        bar=6,
    ),
    Key(
        name="open",
        keys="enter",
        shown="enter",
        action="open",
        label="Open",
        help="Go into the detail of the selected candidate",
        where=_LIVE,
        bar=7,
    ),
    Key(
        name="overview",
        keys="1",
        shown="1",
        action="tab('overview')",
        label="Overview",
        help="Where the candidate stands, why, and on what evidence",
    ),
    Key(
        name="diff",
        keys="2",
        shown="2",
        action="tab('diff')",
        label="Diff",
        help="What the candidate changes",
    ),
    Key(
        name="log",
        keys="3",
        shown="3",
        action="tab('log')",
        label="Log",
        help="What its checks printed (n and p go from check to check)",
    ),
    Key(
        name="ledger",
        keys="4",
        shown="4",
        action="tab('ledger')",
        label="Ledger",
        help="Everything that happened, newest first",
    ),
    Key(
        name="versions",
        keys="5",
        shown="5",
        action="versions",
        label="Versions",
        help="The promoted states of the target; roll back from there",
    ),
    Key(
        name="down",
        keys="j",
        shown="j, down",
        action="move('down')",
        label="Down",
        help="Next row or line",
    ),
    Key(
        name="up",
        keys="k",
        shown="k, up",
        action="move('up')",
        label="Up",
        help="Previous row or line",
    ),
    Key(
        name="top",
        keys="g",
        shown="g, home",
        action="move('home')",
        label="Top",
        help="First row or line",
    ),
    Key(
        name="bottom",
        keys="G",
        shown="G, end",
        action="move('end')",
        label="Bottom",
        help="Last row or line",
    ),
    Key(
        name="next-hunk",
        keys="n",
        shown="n",
        action="hunk(1)",
        label="Next hunk",
        help="Next hunk of the diff, next check of the log",
        where=_LIVE,
    ),
    Key(
        name="previous-hunk",
        keys="p",
        shown="p",
        action="hunk(-1)",
        label="Previous hunk",
        help="Previous hunk of the diff, previous check of the log",
        where=_LIVE,
    ),
    Key(
        name="filter",
        keys="slash",
        shown="/",
        action="filter",
        label="Filter",
        help="Show only what contains these words (candidates; the ledger when it has the focus)",
        where=_LIVE,
        bar=8,
    ),
    Key(
        name="copy",
        keys="c",
        shown="c",
        action="copy",
        label="Copy",
        help="Copy the commit (or the id) to your clipboard, through the terminal (OSC 52)",
        bar=10,
    ),
    Key(
        name="zoom",
        keys="z",
        shown="z",
        action="zoom",
        label="Zoom",
        help="Give the detail the whole screen, and back",
        where=_LIVE,
        bar=9,
    ),
    Key(
        name="wrap",
        keys="w",
        shown="w",
        action="wrap",
        label="Wrap",
        help="Wrap long lines of the diff and the log, and back",
        where=_LIVE,
    ),
    Key(
        name="refresh",
        keys="r",
        shown="r",
        action="refresh",
        label="Refresh",
        help="Read everything again from the engine; while it is away, try again at once",
    ),
    Key(
        name="back",
        keys="escape",
        shown="esc",
        action="back",
        label="Back",
        help="One step back: filter, zoom, detail, screen",
    ),
    Key(
        name="palette",
        keys="colon",
        shown=":, ctrl+p",
        action="app.command_palette",
        label="Commands",
        help="Find any of these by its name",
    ),
    Key(
        name="help",
        keys="question_mark",
        shown="?",
        action="help",
        label="Help",
        help="This list",
        bar=11,
    ),
    Key(
        name="quit",
        keys="q",
        shown="q",
        action="leave",
        label="Quit",
        help="Leave the cockpit; the engine goes on",
        bar=12,
    ),
)


def keys_for(where: Where) -> tuple[Key, ...]:
    """Return the keys of a screen."""
    return tuple(key for key in KEYS if where in key.where)


def by_action(action: str) -> Key | None:
    """Return the key that runs an action, as it is written in the table or by its bare name."""
    for key in KEYS:
        if action in (key.action, key.action.partition("(")[0]):
            return key
    return None
