"""The ways that people take through the site."""

from collections.abc import Iterable

from hitlog.records import Session
from hitlog.urls import is_asset, page

Graph = dict[str, list[str]]


def clicks(visit: Session) -> list[tuple[str, str]]:
    """Return the steps from page to page in a visit; a reload is no step."""
    steps = []
    previous = None
    for hit in visit.hits:
        if is_asset(hit.target) or hit.failed:
            continue
        current = page(hit.target)
        if previous is not None and current != previous:
            steps.append((previous, current))
        previous = current
    return steps


def click_graph(visits: Iterable[Session]) -> Graph:
    """Return for each page the pages that were reached from it, in order of first appearance."""
    graph: Graph = {}
    for visit in visits:
        for source, target in clicks(visit):
            targets = graph.setdefault(source, [])
            if target not in targets:
                targets.append(target)
            graph.setdefault(target, [])
    return graph


def reachable(graph: Graph, start: str) -> list[str]:
    """Return the pages that can be reached by clicks, nearest first, the start included."""
    visited = [start]
    waiting = [start]
    while waiting:
        current = waiting.pop(0)
        for neighbour in graph.get(current, []):
            if neighbour not in visited:
                visited.append(neighbour)
                waiting.append(neighbour)
    return visited


def shortest_path(graph: Graph, start: str, goal: str) -> list[str] | None:
    """Return the shortest way from one page to another, or None."""
    came_from: dict[str, str] = {}
    waiting = [start]
    while waiting:
        current = waiting.pop(0)
        if current == goal:
            break
        for neighbour in graph.get(current, []):
            if neighbour != start and neighbour not in came_from:
                came_from[neighbour] = current
                waiting.append(neighbour)
    else:
        return None
    way = []
    while current != start:
        way.insert(0, current)
        current = came_from[current]
    way.insert(0, start)
    return way
