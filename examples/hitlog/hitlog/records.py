"""The types that the other modules pass around."""

import copy
from dataclasses import dataclass, field

EMPTY_TOTALS = {
    "hits": 0,
    "bytes": 0,
    "errors": 0,
    "redirects": 0,
    "assets": 0,
    "pages": 0,
    "gets": 0,
    "posts": 0,
    "heads": 0,
    "others": 0,
    "first": None,
    "last": None,
}
METHODS = {"GET": "gets", "POST": "posts", "HEAD": "heads"}


@dataclass(frozen=True)
class Hit:
    """One line of the log."""

    host: str
    time: int
    method: str
    target: str
    status: int
    size: int
    referrer: str
    agent: str

    @property
    def failed(self) -> bool:
        return self.status >= 400

    @property
    def redirected(self) -> bool:
        return 300 <= self.status < 400


@dataclass
class Session:
    """The hits of one visitor without a long pause between them."""

    visitor: str
    hits: list[Hit] = field(default_factory=list)

    @property
    def start(self) -> int:
        return self.hits[0].time

    @property
    def end(self) -> int:
        return self.hits[-1].time

    @property
    def duration(self) -> int:
        return self.end - self.start


def new_totals() -> dict:
    """Return totals of nothing, for the caller to add to."""
    return copy.deepcopy(EMPTY_TOTALS)


def add_hit(totals: dict, hit: Hit, *, asset: bool) -> None:
    """Add one hit to totals."""
    totals["hits"] += 1
    totals["bytes"] += hit.size
    if hit.failed:
        totals["errors"] += 1
    if hit.redirected:
        totals["redirects"] += 1
    totals[METHODS.get(hit.method, "others")] += 1
    totals["assets" if asset else "pages"] += 1
    if totals["first"] is None:
        totals["first"] = hit.time
    totals["last"] = hit.time
