"""The one table of keys: bindings, footer, help, views and command palette are all made from it.

Keys that change something are marked with the role that they need; the dangerous ones are
shifted, and none of them sits where a hand that moves about (`j k g G n p`) would hit it. A person
may map any of them to other keys by its name (`tui.settings`).
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from ouroboros.errors import ConfigError


class Where(StrEnum):
    """The views: screens on which a key means something."""

    LIVE = "live"
    INBOX = "inbox"
    CANDIDATE = "candidate"
    VERSIONS = "versions"
    LEDGER = "ledger"
    METRICS = "metrics"
    ALERTS = "alerts"
    GOVERNOR = "governor"
    LOGS = "logs"
    CONFIG = "config"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One row: `keys` as Textual names them, `shown` as a person would say them.

    `role` is the least role on the engine for keys that change something, else empty. `bar` is
    the place in the footer, 0 for keys that only the help lists. `name` is the binding's id, by
    which a user may map it to other keys. `asks` is false for what acts at once.
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
    asks: bool = True


_ABOUT = frozenset({Where.LIVE, Where.INBOX, Where.CANDIDATE})
"""Where a candidate is selected."""
_LISTED = frozenset(Where) - {Where.CANDIDATE, Where.METRICS, Where.GOVERNOR}
"""Where there is a list to filter."""
_ONLY = {where: frozenset({where}) for where in Where}


def _view(number: str, where: Where, text: str) -> Key:
    return Key(
        name=where.value,
        keys=number,
        shown=number,
        action=f"view('{where.value}')",
        label=where.value.capitalize(),
        help=text,
    )


VIEWS: tuple[Key, ...] = (
    _view("1", Where.LIVE, "What is on its way, and everything about the selected candidate"),
    _view("2", Where.INBOX, "What waits for a human, oldest first"),
    _view("3", Where.CANDIDATE, "The selected candidate on the whole screen"),
    _view("4", Where.VERSIONS, "The promoted states of the target; compare, roll back"),
    _view("5", Where.LEDGER, "Everything that happened; verify it"),
    _view("6", Where.METRICS, "Host, engine and gains over time"),
    _view("7", Where.ALERTS, "What was told to people; acknowledge, silence"),
    _view("8", Where.GOVERNOR, "Limits, budgets left, circuit breaker, noise, freeze"),
    _view("9", Where.LOGS, "What the engine says of its own work"),
    _view("0", Where.CONFIG, "Values in force and where each comes from; change them"),
)

_ACTS: tuple[Key, ...] = (
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
        where=_ABOUT,
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
        where=_ABOUT,
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
        where=_ABOUT | {Where.VERSIONS},
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
        where=_ABOUT,
        role="operator",
        bar=5,
    ),
    Key(
        name="hold",
        keys="H",
        shown="H",
        action="hold",
        label="Hold",
        help="Have the selected candidate held for a yes, whatever its verdict will be",
        where=_ABOUT,
        role="operator",
    ),
    Key(
        name="retry",
        keys="T",
        shown="T",
        action="retry",
        label="Retry",
        help="Propose the selected candidate once more (after a reject, stop, error, rollback)",
        where=_ABOUT,
        role="operator",
    ),
    Key(
        name="override",
        keys="O",
        shown="O",
        action="override",
        label="Override",
        help="Promote the selected held candidate past quorum and freezes; type its id",
        where=_ABOUT,
        role="admin",
    ),
    Key(
        name="trigger",
        keys="t",
        shown="t",
        action="trigger",
        label="Trigger",
        help="Start a cycle now",
        role="operator",
        bar=7,
    ),
    Key(
        name="panic",
        keys="exclamation_mark",
        shown="!",
        action="panic",
        label="Panic",
        help="Pause now and cancel what is being evaluated, at once and without a question",
        role="operator",
        bar=14,
        asks=False,
    ),
    Key(
        name="ack",
        keys="y",
        shown="y",
        action="ack",
        label="Seen",
        help="Acknowledge the selected alert",
        where=_ONLY[Where.ALERTS],
        role="operator",
        bar=2,
    ),
    Key(
        name="silence",
        keys="S",
        shown="S",
        action="silence",
        label="Silence",
        help="Do not send alerts of the selected one's kind for a while; they stay on the record",
        where=_ONLY[Where.ALERTS],
        role="operator",
        bar=3,
    ),
    Key(
        name="freeze",
        keys="F",
        shown="F",
        action="freeze",
        label="Freeze",
        help="Promote nothing for a while, or end that",
        where=_ONLY[Where.GOVERNOR],
        role="operator",
        bar=2,
    ),
    Key(
        name="edit",
        keys="e",
        shown="e",
        action="edit",
        label="Edit",
        help="Change the selected value at run time; the engine checks it first",
        where=_ONLY[Where.CONFIG],
        role="admin",
        bar=2,
    ),
)

_LOOKS: tuple[Key, ...] = (
    Key(
        name="next-waiting",
        keys="i",
        shown="i",
        action="waiting",
        label="Waiting",
        help="Go to what waits for a human, the oldest first",
        bar=9,
    ),
    Key(
        name="open",
        keys="enter",
        shown="enter",
        action="open",
        label="Open",
        help="Go into the detail of what is selected",
        where=frozenset({Where.LIVE, Where.INBOX, Where.LEDGER, Where.VERSIONS}),
        bar=8,
    ),
    Key(
        name="overview",
        keys="o",
        shown="o",
        action="tab('overview')",
        label="Overview",
        help="Where the candidate stands, why, and on what evidence",
        where=_ABOUT,
    ),
    Key(
        name="diff",
        keys="d",
        shown="d",
        action="tab('diff')",
        label="Diff",
        help="What the candidate changes; between two versions, what lies between them",
        where=_ABOUT | {Where.VERSIONS},
        bar=10,
    ),
    Key(
        name="measures",
        keys="m",
        shown="m",
        action="tab('measures')",
        label="Measures",
        help="Every pair that was measured, drawn",
        where=_ABOUT,
    ),
    Key(
        name="log",
        keys="l",
        shown="l",
        action="tab('log')",
        label="Log",
        help="What its checks printed (n and p go from check to check)",
        where=_ABOUT,
    ),
    Key(
        name="side",
        keys="s",
        shown="s",
        action="side",
        label="Side by side",
        help="The diff side by side, and back",
        where=_ABOUT | {Where.VERSIONS},
    ),
    Key(
        name="mark",
        keys="m",
        shown="m",
        action="mark",
        label="Mark",
        help="Compare the selected version with this one from now on",
        where=_ONLY[Where.VERSIONS],
        bar=11,
    ),
    Key(
        name="verify",
        keys="v",
        shown="v",
        action="verify",
        label="Verify",
        help="Have the engine verify the whole ledger, with its progress",
        where=_ONLY[Where.LEDGER],
        bar=6,
    ),
    Key(
        name="level",
        keys="L",
        shown="L",
        action="level",
        label="Level",
        help="Show more or fewer kinds of lines",
        where=_ONLY[Where.LOGS],
        bar=6,
    ),
    Key(
        name="zoom-in",
        keys="plus,equals_sign",
        shown="+",
        action="scale(-1)",
        label="Zoom in",
        help="A shorter stretch of time",
        where=_ONLY[Where.METRICS],
        bar=5,
    ),
    Key(
        name="zoom-out",
        keys="minus",
        shown="-",
        action="scale(1)",
        label="Zoom out",
        help="A longer stretch of time",
        where=_ONLY[Where.METRICS],
        bar=6,
    ),
    Key(
        name="earlier",
        keys="left",
        shown="left",
        action="pan(1)",
        label="Earlier",
        help="Half a screen back in time",
        where=_ONLY[Where.METRICS],
        bar=8,
    ),
    Key(
        name="later",
        keys="right",
        shown="right",
        action="pan(-1)",
        label="Later",
        help="Half a screen on in time",
        where=_ONLY[Where.METRICS],
        bar=10,
    ),
    Key(
        name="slower",
        keys="less_than_sign",
        shown="<",
        action="speed(0.5)",
        label="Slower",
        help="In a replay: half as fast (space stops it, and lets it go on)",
    ),
    Key(
        name="faster",
        keys="greater_than_sign",
        shown=">",
        action="speed(2.0)",
        label="Faster",
        help="In a replay: twice as fast",
    ),
    Key(
        name="one",
        keys="full_stop",
        shown=".",
        action="one",
        label="One entry",
        help="In a replay: show the next entry, and stop there",
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
        help="Last row or line; in the log, follow what comes",
    ),
    Key(
        name="next-hunk",
        keys="n",
        shown="n",
        action="hunk(1)",
        label="Next hunk",
        help="Next hunk of the diff, next check of the log",
        where=_ABOUT | {Where.VERSIONS},
    ),
    Key(
        name="previous-hunk",
        keys="p",
        shown="p",
        action="hunk(-1)",
        label="Previous hunk",
        help="Previous hunk of the diff, previous check of the log",
        where=_ABOUT | {Where.VERSIONS},
    ),
    Key(
        name="filter",
        keys="slash",
        shown="/",
        action="filter",
        label="Filter",
        help="Show only what contains these words (in the ledger also kind:held, candidate:c3)",
        where=_LISTED,
        bar=11,
    ),
    Key(
        name="copy",
        keys="c",
        shown="c",
        action="copy",
        label="Copy",
        help="Copy what is selected to your clipboard, through the terminal (OSC 52)",
        bar=13,
    ),
    Key(
        name="zoom",
        keys="z",
        shown="z",
        action="zoom",
        label="Zoom",
        help="Give the detail the whole screen, and back",
        where=frozenset({Where.LIVE, Where.INBOX, Where.LEDGER, Where.VERSIONS}),
        bar=12,
    ),
    Key(
        name="wrap",
        keys="w",
        shown="w",
        action="wrap",
        label="Wrap",
        help="Wrap long lines, and back",
        where=_ABOUT | {Where.VERSIONS, Where.LOGS, Where.LEDGER},
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
        help="One step back: filter, zoom, detail, view",
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
        bar=15,
    ),
    Key(
        name="quit",
        keys="q",
        shown="q",
        action="leave",
        label="Quit",
        help="Leave the cockpit; the engine goes on",
        bar=16,
    ),
)

KEYS: tuple[Key, ...] = (*VIEWS, *_ACTS, *_LOOKS)


def keys_for(where: Where, table: tuple[Key, ...] = KEYS) -> tuple[Key, ...]:
    """Return the keys of a view."""
    return tuple(key for key in table if where in key.where)


def by_action(action: str) -> Key | None:
    """Return the key that runs an action, as it is written in the table or by its bare name."""
    for key in KEYS:
        if action in (key.action, key.action.partition("(")[0]):
            return key
    return None


def binding_id(where: Where, key: Key) -> str:
    """Return the id that Textual knows a key by on a view."""
    return f"{where.value}.{key.name}"


def remapped(changes: Mapping[str, str]) -> tuple[Key, ...]:
    """Return the table with a person's own keys; `changes` maps names to keys, by commas.

    Raises:
        ConfigError: a name is unknown, a key is empty, or two acts of one view share a key.
    """
    names = {key.name for key in KEYS}
    for name, keys in changes.items():
        if name not in names:
            known = ", ".join(sorted(names))
            raise ConfigError(f"[keys] {name}: there is no such key.", hint=f"Known: {known}.")
        if not keys.strip():
            raise ConfigError(f"[keys] {name}: expected the name of a key, found nothing.")
    table = tuple(_mapped(key, changes) for key in KEYS)
    for where in Where:
        _refuse_clashes(where, keys_for(where, table))
    return table


def _mapped(key: Key, changes: Mapping[str, str]) -> Key:
    keys = changes.get(key.name)
    if keys is None:
        return key
    parts = ",".join(part.strip() for part in keys.split(","))
    return replace(key, keys=parts, shown=parts.partition(",")[0])


def _refuse_clashes(where: Where, keys: tuple[Key, ...]) -> None:
    taken: dict[str, str] = {}
    for key in keys:
        for one in key.keys.split(","):
            if one in taken:
                raise ConfigError(
                    f"[keys] {key.name} and {taken[one]} are both {one!r} in {where.value}.",
                    hint="Give one of them another key.",
                )
            taken[one] = key.name
