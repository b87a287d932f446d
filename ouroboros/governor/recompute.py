"""Verdicts computed again from the ledger's entries alone. Pure: who reads the ledger hands it in.

A verdict of record is a function of the entries before it: the evaluation, what the screen found,
the context with which the evaluation was started, the promotions so far, and two policies that the
ledger names by hash, that of the proposal and the one in force. Each of them is taken from there,
contexts and counts of promotions are counted anew, and the outcome is compared with what was
recorded, field by field, as the bytes that both would be stored as.
"""

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from ouroboros.config import Config, parse_policy
from ouroboros.errors import ConfigError, LedgerError, MeasurementError, Misuse, NotFoundError
from ouroboros.governor.context import context_of, evidence_of, moment_of
from ouroboros.governor.decide import RULE, decide
from ouroboros.governor.in_force import in_force
from ouroboros.model import events as ev
from ouroboros.model.entry import Stored
from ouroboros.model.oversight import DIFFERS, MISSING, SAME, UNKNOWN_RULE, Recomputed
from ouroboros.model.state import Candidate, State, advance
from ouroboros.model.text import safe_line
from ouroboros.model.verdict import Decision, Verdict

Read = Callable[[str], bytes]
"""Return a piece of evidence by its hash; raises `NotFoundError` or `LedgerError`."""

VerdictEvent = ev.Accepted | ev.Held | ev.Rejected

_KINDS = {
    Decision.ACCEPT: "accepted",
    Decision.HOLD: "held",
    Decision.REJECT: "rejected",
}
_SHOWN = 160
"""Characters of a value that differs."""


class _Outcome(Exception):  # noqa: N818 - an answer that ends the work early, never seen outside
    def __init__(self, outcome: str, field: str, text: str) -> None:
        super().__init__(text)
        self.outcome, self.field, self.text = outcome, field, text


class Recomputation:
    """Feed all entries of a ledger in order; verdicts come back with how they compare."""

    def __init__(self, read: Read, *, candidate: str = "") -> None:
        """Begin before the first entry.

        Args:
            read: gives the bytes of a policy by the hash of its evidence.
            candidate: compute only its verdicts; empty: all.
        """
        self._read = read
        self._only = candidate
        self._state = State()
        self._started: dict[str, State] = {}
        self._texts: dict[str, str] = {}
        self._policies: dict[str, Config] = {}

    @property
    def state(self) -> State:
        """What was folded so far."""
        return self._state

    def take(self, stored: Stored) -> Recomputed | None:
        """Take the next entry; returns the comparison where it holds a verdict.

        Raises:
            IllegalMoveError: the entries are not in order.
        """
        before, event = self._state, stored.entry.event
        self._state = advance(before, stored)
        if isinstance(event, ev.ConfigLoaded | ev.LimitsChanged):
            self._texts[event.config_hash] = event.text
        if isinstance(event, ev.EvaluationStarted) and self._only in {"", event.candidate}:
            self._started[event.candidate] = before
        if not isinstance(event, VerdictEvent) or self._only not in {"", event.candidate}:
            return None
        started = self._started.pop(event.candidate, None)
        if event.verdict is None:
            return None  # refused before it ran, which nobody computes
        return self._compared(before, started, event, event.verdict, stored.entry.seq)

    def _compared(
        self,
        before: State,
        started: State | None,
        event: VerdictEvent,
        verdict: Verdict,
        seq: int,
    ) -> Recomputed:
        found = Recomputed(candidate=event.candidate, seq=seq, rule=verdict.rule, outcome=SAME)
        if verdict.rule != RULE:
            text = f"decided by rule {verdict.rule}; this version computes {RULE} only"
            return replace(found, outcome=UNKNOWN_RULE, text=safe_line(text, limit=4 * _SHOWN))
        try:
            self._check(before, started, event, verdict)
        except _Outcome as other:
            text = safe_line(other.text, limit=4 * _SHOWN)
            return replace(found, outcome=other.outcome, field=other.field, text=text)
        return found

    def _check(
        self, before: State, started: State | None, event: VerdictEvent, verdict: Verdict
    ) -> None:
        c = before.candidates[event.candidate]
        if c.evaluation is None:
            raise _Outcome(MISSING, "evaluation", "no evaluation stands before the verdict")
        self._check_policy(c, verdict)
        then, now = self._policy(verdict.policy), self._policy(before.config_hash)
        self._check_context(c, started, then)
        moment = None
        if verdict.moment is not None:
            moment = moment_of(before, c, verdict.moment.now_ns)
        evidence = evidence_of(
            c, c.evaluation, config=in_force(then, now), policy=verdict.policy, moment=moment
        )
        try:
            computed = decide(evidence)
        except (MeasurementError, Misuse) as error:
            raise _Outcome(DIFFERS, "decision", f"no verdict follows: {error}") from None
        _check_same(verdict, computed, "")
        if event.kind != _KINDS[verdict.decision]:
            text = f"recorded as {event.kind}, but the decision is {verdict.decision}"
            raise _Outcome(DIFFERS, "decision", text)
        if isinstance(event, ev.Rejected) and event.reasons != verdict.reasons:
            raise _Outcome(DIFFERS, "reasons", "the entry's reasons are not the verdict's")

    def _check_policy(self, c: Candidate, verdict: Verdict) -> None:
        """It is judged by the policy of its proposal, unless that cannot be read."""
        if c.policy in {"", verdict.policy}:
            return
        try:
            self._policy(c.policy)
        except _Outcome:
            return
        text = f"proposed under {c.policy[:12]}, judged under {verdict.policy[:12]}"
        raise _Outcome(DIFFERS, "policy", text)

    def _check_context(self, c: Candidate, started: State | None, then: Config) -> None:
        if c.context is None or c.evaluation is None:
            return
        if started is None:
            raise _Outcome(MISSING, "context", "no start of its evaluation stands in the ledger")
        computed = context_of(
            started,
            started.candidates[c.id],
            then,
            machine=c.evaluation.machine,
            continues=c.context.continues,
        )
        _check_same(c.context, computed, "context.")

    def _policy(self, name: str) -> Config:
        if name not in self._policies:
            try:
                loaded = parse_policy(self._read(self._texts.get(name, name)))
            except (NotFoundError, LedgerError, ConfigError) as error:
                text = f"the policy {name[:12]} cannot be restored: {error}"
                raise _Outcome(MISSING, "policy", text) from None
            if loaded.hash != name:
                text = f"what was kept as policy {name[:12]} is {loaded.hash[:12]}"
                raise _Outcome(DIFFERS, "policy", text)
            self._policies[name] = loaded.config
        return self._policies[name]


def _check_same(recorded: msgspec.Struct, computed: msgspec.Struct, at: str) -> None:
    """Raise where the two would not be stored as the same bytes; names the first field."""
    if msgspec.json.encode(recorded) == msgspec.json.encode(computed):
        return
    for field in recorded.__struct_fields__:
        was, now = getattr(recorded, field), getattr(computed, field)
        if msgspec.json.encode(was) == msgspec.json.encode(now):
            continue
        if isinstance(was, msgspec.Struct) and type(was) is type(now):
            _check_same(was, now, f"{at}{field}.")
        if isinstance(was, tuple) and isinstance(now, tuple):
            _check_each(was, now, f"{at}{field}")
        text = f"recorded {_short(was)}, computed {_short(now)}"
        raise _Outcome(DIFFERS, f"{at}{field}", text)


def _check_each(recorded: tuple[object, ...], computed: tuple[object, ...], at: str) -> None:
    for index, (was, now) in enumerate(zip(recorded, computed, strict=False)):
        if isinstance(was, msgspec.Struct) and isinstance(now, msgspec.Struct):
            _check_same(was, now, f"{at}[{index}].")
    if len(recorded) != len(computed):
        text = f"recorded {len(recorded)} of them, computed {len(computed)}"
        raise _Outcome(DIFFERS, at, text)


def _short(value: object) -> str:
    return safe_line(msgspec.json.encode(value).decode(), limit=_SHOWN)
