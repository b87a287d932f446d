"""From hits to visits."""

from collections.abc import Iterable

from hitlog.records import Hit, Session, add_hit, new_totals
from hitlog.urls import is_asset, page

PAUSE = 1800


def visitor(hit: Hit) -> str:
    """Return who made a hit, as far as a log can tell."""
    return f"{hit.host} {hit.agent}"


def sessions(hits: Iterable[Hit], pause: int = PAUSE) -> list[Session]:
    """Return the visits, in the order in which they began."""
    current: dict[str, Session] = {}
    found: list[Session] = []
    for hit in sorted(hits, key=lambda h: h.time):
        who = visitor(hit)
        session = current.get(who)
        if session is None or hit.time - session.end > pause:
            session = Session(who)
            current[who] = session
            found = found + [session]
        session.hits.append(hit)
    return found


def entry_pages(visits: Iterable[Session]) -> list[str]:
    """Return the pages on which visits began, each once, in order of first appearance."""
    entries: list[str] = []
    for visit in visits:
        names = [page(hit.target) for hit in visit.hits if not is_asset(hit.target)]
        if names and names[0] not in entries:
            entries.append(names[0])
    return entries


def all_pages(visits: Iterable[Session]) -> list[str]:
    """Return every page that was visited, each once, in order of first appearance."""
    pages: list[str] = []
    for visit in visits:
        for hit in visit.hits:
            if not is_asset(hit.target):
                name = page(hit.target)
                if name not in pages:
                    pages.append(name)
    return pages


def totals_by_host(visits: Iterable[Session]) -> dict[str, dict]:
    """Return the totals of each host."""
    totals: dict[str, dict] = {}
    for visit in visits:
        for hit in visit.hits:
            host = totals.setdefault(hit.host, new_totals())
            add_hit(host, hit, asset=is_asset(hit.target))
    return totals


def totals_by_hour(visits: Iterable[Session]) -> dict[int, dict]:
    """Return the totals of each hour of the day."""
    totals: dict[int, dict] = {}
    for visit in visits:
        for hit in visit.hits:
            hour = totals.setdefault(hit.time // 3600 % 24, new_totals())
            add_hit(hour, hit, asset=is_asset(hit.target))
    return totals


def concurrent(visits: Iterable[Session]) -> int:
    """Return the largest number of visits that were open at the same time."""
    ends: list[int] = []
    most = 0
    for visit in sorted(visits, key=lambda v: v.start):
        ends = [end for end in ends if end > visit.start]
        ends.append(visit.end)
        most = max(most, len(ends))
    return most
