"""Everything together: from the lines of a log to a page of text."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from hitlog.agents import browser, is_bot, is_mobile
from hitlog.parser import parse_lines
from hitlog.paths import click_graph, reachable
from hitlog.search import distinct_filters, popular_terms, searches
from hitlog.sessions import (
    all_pages,
    concurrent,
    entry_pages,
    sessions,
    totals_by_host,
    totals_by_hour,
)
from hitlog.stats import moving_average, per_bucket, percentile, shares, smallest, sparkline
from hitlog.urls import breadcrumbs, is_asset, page

BUCKET = 300


@dataclass(frozen=True)
class Report:
    """What can be said about a log."""

    hits: int
    bots: int
    visits: int
    most_at_once: int
    mobile: float
    browsers: dict[str, float]
    pages: dict[str, int]
    sections: dict[str, int]
    entries: list[str]
    reach: dict[str, int]
    terms: list[tuple[str, int]]
    filters: int
    hosts: dict[str, dict]
    hours: dict[int, dict]
    sizes: tuple[int, int, int]
    traffic: list[int]
    trend: list[float]


def analyse(lines: Iterable[str]) -> Report:
    """Return the report of a log; robots are counted and left out."""
    everything = list(parse_lines(lines))
    hits = [hit for hit in everything if not is_bot(hit.agent)]
    visits = sessions(hits)
    graph = click_graph(visits)
    entries = entry_pages(visits)
    traffic = per_bucket([hit.time for hit in hits if not is_asset(hit.target)], BUCKET)
    sizes = [hit.size for hit in hits if not hit.failed] or [0]
    return Report(
        hits=len(hits),
        bots=len(everything) - len(hits),
        visits=len(visits),
        most_at_once=concurrent(visits),
        mobile=sum(is_mobile(hit.agent) for hit in hits) / max(1, len(hits)),
        browsers=shares(Counter(browser(hit.agent) for hit in hits)),
        pages=count_pages(hits, all_pages(visits)),
        sections=count_sections(hits),
        entries=entries,
        reach={entry: len(reachable(graph, entry)) for entry in entries[:30]},
        terms=popular_terms(searches(hits)),
        filters=len(distinct_filters(hits)),
        hosts=totals_by_host(visits),
        hours=totals_by_hour(visits),
        sizes=(smallest(sizes), percentile(sizes, 0.5), percentile(sizes, 0.95)),
        traffic=traffic,
        trend=moving_average(traffic, 6),
    )


def count_pages(hits: Iterable, names: list[str]) -> dict[str, int]:
    """Return how often each page was asked for, in the order of `names`."""
    counts = dict.fromkeys(names, 0)
    for hit in hits:
        if not is_asset(hit.target):
            counts[page(hit.target)] += 1
    return counts


def count_sections(hits: Iterable) -> dict[str, int]:
    """Return how often each page or anything below it was asked for."""
    counts: dict[str, int] = {}
    for hit in hits:
        if not is_asset(hit.target):
            for crumb in breadcrumbs(hit.target):
                counts[crumb] = counts.get(crumb, 0) + 1
    return counts


def table(rows: list[tuple[str, object]], indent: str = "  ") -> str:
    """Return rows of two columns as text, the first as wide as its widest cell."""
    text = ""
    for name, value in rows:
        width = max([len(label) for label, _ in rows])
        text += f"{indent}{name.ljust(width)}  {value}\n"
    return text


def render(report: Report, limit: int = 10) -> str:
    """Return a report as text."""
    top = sorted(report.pages.items(), key=lambda item: (-item[1], item[0]))
    loud = sorted(report.hosts.items(), key=lambda item: (-item[1]["bytes"], item[0]))
    text = f"{report.hits} hits in {report.visits} visits, {report.bots} by robots\n"
    text += f"at most {report.most_at_once} visits at once, {report.mobile:.0%} mobile\n"
    text += f"traffic {sparkline(report.traffic)}\n"
    text += "\nbrowsers\n"
    text += table([(name, f"{share:.1%}") for name, share in sorted(report.browsers.items())])
    text += "\npages\n" + table(top[:limit])
    text += "\nsearches\n" + table(report.terms[:limit])
    text += "\nhosts by bytes\n"
    text += table([(host, totals["bytes"]) for host, totals in loud[:limit]])
    text += "\nhits by hour\n"
    text += table([(f"{hour:02}:00", report.hours[hour]["hits"]) for hour in sorted(report.hours)])
    text += "\nreach of entry pages\n" + table(list(report.reach.items())[:limit])
    return text
