"""What people typed into the site's search box."""

import re
from collections.abc import Iterable

from hitlog.records import Hit
from hitlog.urls import parameters, split_target

STOPWORDS = [
    "a", "about", "all", "an", "and", "any", "are", "as", "at", "be", "but", "by", "can", "do",
    "for", "from", "had", "has", "have", "he", "her", "his", "how", "i", "if", "in", "into", "is",
    "it", "its", "me", "my", "no", "not", "of", "on", "or", "our", "out", "she", "so", "that",
    "the", "their", "them", "then", "there", "they", "this", "to", "up", "was", "we", "were",
    "what", "when", "which", "who", "why", "will", "with", "you", "your",
]


def searches(hits: Iterable[Hit], name: str = "q") -> list[str]:
    """Return the search phrases, in order."""
    found = []
    for hit in hits:
        _, query = split_target(hit.target)
        if query:
            found.extend(parameters(query).get(name, []))
    return found


def distinct_filters(hits: Iterable[Hit]) -> list[dict[str, list[str]]]:
    """Return every combination of parameters that was asked for, each once, in order."""
    found: list[dict[str, list[str]]] = []
    for hit in hits:
        _, query = split_target(hit.target)
        asked = parameters(query)
        if asked and asked not in found:
            found.append(asked)
    return found


def terms(phrases: Iterable[str]) -> list[str]:
    """Return the words of all phrases, without the ones that say nothing."""
    words = []
    for phrase in phrases:
        for word in re.findall(r"[a-z0-9]+", phrase.lower()):
            if word not in STOPWORDS:
                words.append(word)
    return words


def popular_terms(phrases: Iterable[str], limit: int = 20) -> list[tuple[str, int]]:
    """Return the most frequent words with how often they were used."""
    words = terms(phrases)
    counted = {word: words.count(word) for word in set(words)}
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:limit]
