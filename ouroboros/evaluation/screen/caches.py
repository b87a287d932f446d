"""Caches by their names, in any language. Pure.

Caches passed every test and looked 60 % faster on a warm benchmark while being 3 times slower on
new inputs: the one false winner that a repeated benchmark cannot see.
"""

import re
from collections.abc import Iterator, Sequence

from ouroboros.evaluation.screen.lines import Line
from ouroboros.evaluation.screen.marks import Finding

_CACHE = re.compile(
    r"\b(?:lru_cache|cached_property|cachedmethod|memoi[sz]e[d]?)\b|@(?:functools\.)?cache\b"
)


def caches(lines: Sequence[Line]) -> Iterator[Finding]:
    """Find new lines that name a cache."""
    for line in lines:
        if _CACHE.search(line.text):
            yield Finding("adds-cache", line.path, line.number, shown=line.text)
