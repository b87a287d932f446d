"""The governor: policy in force, budgets left, circuit breaker, noise, anchor, workers; freeze."""

from collections.abc import Iterator

from textual.widget import Widget

from ouroboros.model.insight import Worker
from ouroboros.model.oversight import GovernorStatus
from ouroboros.model.state import Serving, Standing
from ouroboros.model.text import safe_line
from rpc import wire
from tui import asks, words
from tui.keys import Where
from tui.loader import Failed, Loader
from tui.panels.detail import waiting
from tui.panels.lines import Lines
from tui.screens.deck import Deck, bindings_for
from tui.view import View
from tui.words import Glyphs, Line, line


class GovernorScreen(Deck):
    """One page, asked anew whenever the ledger has moved."""

    WHERE = Where.GOVERNOR
    BINDINGS = bindings_for(Where.GOVERNOR)
    AUTO_FOCUS = "#governor"

    def __init__(self, loader: Loader) -> None:
        """Make the page."""
        super().__init__(loader)
        self.page = Lines(wrap=True, id="governor")

    def body(self) -> Iterator[Widget]:
        """Lay the page."""
        yield self.page

    @property
    def main(self) -> Widget:
        """The page."""
        return self.page

    @property
    def copied(self) -> str:
        """The policy's hash."""
        found = self._status(self.app.view)
        return found.policy if isinstance(found, GovernorStatus) else ""

    def _status(self, view: View) -> GovernorStatus | Failed | None:
        stamp = str(view.state.seq)
        return self.loader.current("governor", stamp, wire.GovernorStatusGet())

    def fill(self, view: View, now_ns: int) -> None:  # noqa: ARG002 - a view's signature
        """Bring the page up to date."""
        found = self._status(view)
        if not isinstance(found, GovernorStatus):
            self.page.show(waiting(found, "Asking the governor."))
            return
        workers = self.loader.current("workers", str(view.state.seq), wire.WorkerList())
        self.page.show(
            governor_lines(
                found,
                workers if isinstance(workers, tuple) else (),
                self.glyphs,
                serving=view.state.serving,
            )
        )

    def action_freeze(self) -> None:
        """Ask to freeze promotions, or to end the freeze that a person set."""
        found = self._status(self.app.view)
        if isinstance(found, GovernorStatus):
            self.app.ask(asks.ask_freeze(until=found.frozen_until, by=found.frozen_by))


def governor_lines(
    g: GovernorStatus,
    workers: tuple[Worker, ...],
    glyphs: Glyphs,
    *,
    serving: Serving | None = None,
) -> tuple[Line, ...]:
    """Return the page."""
    return (
        line(("Mode  ", "head"), (safe_line(g.mode), "strong"), _frozen(g)),
        line(("policy ", "dim"), safe_line(g.policy)[:16]),
        *_section("Service", _service(serving, g.now_ns, glyphs)),
        *_section("Circuit breaker", _circuit(g, glyphs)),
        *_section("Budgets", _budgets(g)),
        *_section("Against the anchor", _anchor(g)),
        *_section("Noise per benchmark", _noise(g)),
        *_section("Workers", [_worker(w, glyphs) for w in workers]),
        *_section("Limits in force (0 edits them)", [_limit(limit) for limit in g.limits]),
    )


def _section(title: str, lines: list[Line]) -> tuple[Line, ...]:
    return (Line(), line((title, "head")), *lines) if lines else ()


def _frozen(g: GovernorStatus) -> tuple[str, str]:
    if not g.frozen_until_ns:
        return ("", "")
    by = f" by {safe_line(g.frozen_by, limit=30)}" if g.frozen_by else " by the configuration"
    why = f": {safe_line(g.frozen_reason, limit=80)}" if g.frozen_reason else ""
    return (f"   FROZEN until {safe_line(g.frozen_until)}{by}{why}", "wait")


def _service(serving: Serving | None, now_ns: int, glyphs: Glyphs) -> list[Line]:
    """The target's running process, as the ledger last heard of it."""
    if serving is None:
        return []
    mark = (glyphs.good, "good") if serving.serves else (glyphs.bad, "bad")
    pid = f", pid {serving.pid}" if serving.pid else ""
    why = f": {safe_line(serving.text, limit=200)}" if serving.text else ""
    age = words.age(now_ns - serving.ts)
    return [
        line(
            (f"  {mark[0]} {safe_line(serving.what, limit=20).upper()}", mark[1]),
            f"  v{serving.version}",
            (f"{pid}, {age} ago{why}" if age != "now" else f"{pid}, just now{why}", "dim"),
        )
    ]


def _circuit(g: GovernorStatus, glyphs: Glyphs) -> list[Line]:
    c = g.circuit
    state = (
        (f"{glyphs.stop} OPEN  {safe_line(c.open, limit=300)}", "bad")
        if c.open
        else (f"{glyphs.good} CLOSED", "good")
    )
    return [
        line("  ", state),
        line(
            ("  errors in a row ", "dim"),
            f"{c.errors} of {c.max_errors}",
            ("   rollbacks in a row ", "dim"),
            f"{c.rollbacks} of {c.max_rollbacks}",
        ),
    ]


def _budgets(g: GovernorStatus) -> list[Line]:
    lines = [
        line(
            ("  ideas tested ", "dim"),
            f"{g.tests}",
            ("   wanted to promote ", "dim"),
            f"{g.discoveries}",
            ("   level of the next test ", "dim"),
            f"{g.next_level:.3g}",
        ),
        line(("  promoted without a human in 24 h ", "dim"), f"{g.promotions}"),
    ]
    lines += [
        line((f"    {safe_line(name, limit=40)} ", "dim"), f"{count}")
        for name, count in sorted(g.promotions_of.items())
    ]
    return lines


def _anchor(g: GovernorStatus) -> list[Line]:
    if g.anchor is None:
        return []
    a = g.anchor
    lines = [
        line(
            ("  anchor ", "dim"),
            (f"v{a.version} {words.short(a.commit)}", "accent"),
            (f"  by {safe_line(a.actor, limit=30)}: {safe_line(a.reason, limit=120)}", "dim"),
        )
    ]
    if g.standing is None:
        return [*lines, line(("  the head was not measured against it yet", "dim"))]
    old = "" if g.standing.commit == g.head else "  (an older head)"
    lines.append(line((f"  v{g.standing.version} measured{old}", "dim")))
    return lines + _standing(g.standing)


def _standing(s: Standing) -> list[Line]:
    return [
        line(
            f"    {safe_line(c.metric, limit=16)} of {safe_line(c.benchmark, limit=24)}  ",
            (words.change(c), "strong"),
            (f"  {words.limits(c)}", "dim"),
        )
        for c in s.comparisons
    ]


def _noise(g: GovernorStatus) -> list[Line]:
    return [
        line(
            f"  {safe_line(n.metric, limit=16)} of {safe_line(n.benchmark, limit=24)}  ",
            (f"sd {n.sd * 100:.2f} %", "strong"),
            (f"  {words.count(n.pairs, 'pair')}, {words.age(g.now_ns - n.measured_ns)} old", "dim"),
        )
        for n in g.noise
    ]


def _worker(w: Worker, glyphs: Glyphs) -> Line:
    busy = ", ".join(safe_line(name, limit=20) for name in w.busy[:6])
    state = ("DRAINED", "wait") if w.drained else (f"{glyphs.live} in service", "good")
    where = f"{w.sandbox.backend}, {w.sandbox.limits}" if w.sandbox else "no sandbox"
    return line(
        f"  {safe_line(w.name, limit=30)}  ",
        state,
        (f"  {words.count(w.slots, 'slot')}, {safe_line(where, limit=40)}", "dim"),
        (f"  on {busy}" if busy else "", "busy"),
    )


def _limit(limit: object) -> Line:
    key, value = safe_line(getattr(limit, "key", ""), limit=60), getattr(limit, "value", None)
    overridden = getattr(limit, "overridden", False)
    was = safe_line(str(getattr(limit, "file", "")), limit=40)
    return line(
        (f"  {key:<44} ", "dim"),
        safe_line(str(value), limit=60),
        (f"  changed at run time, the file says {was}" if overridden else "", "wait"),
    )
