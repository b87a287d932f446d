"""One item of the event stream, as a line for people or as an object for programs."""

import time

import msgspec

from ouroboros.cli.words import interval
from ouroboros.model.describe import describe
from ouroboros.model.entry import Stored
from ouroboros.model.progress import Gap, Progress
from ouroboros.model.snapshot import EngineStatus
from ouroboros.model.text import safe_line
from ouroboros.model.topics import GAP, STATUS, topic_of
from rpc.client import Item, Lossy, UnknownEvent
from rpc.wire import EventItem


class LiveItem(msgspec.Struct, frozen=True, kw_only=True):
    """Something live that is not in the ledger, so has no sequence number."""

    topic: str
    data: Progress | EngineStatus | Gap | msgspec.Raw


def record(item: Item) -> EventItem | LiveItem:
    """Return what `watch --json` prints: an event as `events.list` gives it, or a live one."""
    if isinstance(item, Stored):
        entry = msgspec.Raw(msgspec.json.encode(item.entry))
        topic = topic_of(item.entry.event)
        return EventItem(seq=item.entry.seq, topic=topic, hash=item.hash, entry=entry)
    if isinstance(item, UnknownEvent):
        entry = msgspec.Raw(item.raw)
        return EventItem(seq=item.seq, topic=item.topic, hash=item.hash, entry=entry)
    return LiveItem(topic=item.topic, data=item.data)


def text_of(item: Item, *, quiet: bool) -> str:
    """Return the line of an item, or nothing for what only a program wants.

    Args:
        item: from the feed.
        quiet: leave out the status, which comes every few seconds.
    """
    if isinstance(item, Stored):
        clock, number = _clock(item.entry.ts), str(item.entry.seq)
        topic, text = topic_of(item.entry.event), describe(item.entry.event)
        return f"{clock} {number:>6} {topic:<22} {text}"
    if isinstance(item, UnknownEvent):
        text = "an event that this version does not know; update the client to read it"
        return f"{_clock(0)} {item.seq:>6} {safe_line(item.topic):<22} {text}"
    if quiet and item.topic in {STATUS, GAP}:
        return ""
    return f"{_clock(time.time_ns())} {'-':>6} {safe_line(item.topic):<22} {_live(item)}"


def _clock(ts_ns: int) -> str:
    """Return the local time of day; dashes where the time is not known."""
    if not ts_ns:
        return "--:--:--"
    return time.strftime("%H:%M:%S", time.localtime(ts_ns // 1_000_000_000))


def _live(item: Lossy) -> str:
    match item.data:
        case Progress() as progress:
            return _progress(progress)
        case Gap() as gap:
            return safe_line(f"{gap.missed} of {gap.topic} left out", limit=200)
        case EngineStatus() as status:
            return f"{status.activity}, {len(status.in_flight)} in flight, {len(status.held)} held"
        case _:
            return ""


def _progress(p: Progress) -> str:
    amount = f" {p.done}/{p.total}" if p.total else (f" {p.done}" if p.done else "")
    so_far = ""
    if p.comparison is not None and p.comparison.change is not None:
        so_far = f": {p.comparison.outcome}, {interval(p.comparison)}"
    return safe_line(f"{p.candidate} {p.stage}{amount}{so_far} {p.text}", limit=400)
