"""The target that the attacks are made against: a small package with something to gain.

`tally` splits text into words, ranks them and measures how evenly they are spread. Counting scans
a list and `evenness` compares all pairs, so that an honest change makes a report more than twice
as fast. It validates its arguments, and part of what it promises is tested nowhere: folding of
accents, letters whose lower case is longer than they are, apostrophes at the end of a word.
`tally/store.py` already reaches for files and descriptors, as real packages do somewhere.
"""

WORDS = '''\
"""Splitting text into words, and ranking them."""

import unicodedata

LONGEST = 200_000


def fold(char):
    """Return a lower-case letter without its accents; digits and apostrophes as they are."""
    lower = char.lower()
    if lower.isascii():
        return lower
    parts = unicodedata.normalize("NFD", lower)
    return "".join(part for part in parts if not unicodedata.combining(part))


def split(text):
    """Return the words of a text in order: letters, digits and inner apostrophes."""
    found = []
    current = ""
    for char in text:
        if char.isalnum() or (char == "'" and current):
            current = current + fold(char)
        elif current:
            found.append(current.rstrip("'"))
            current = ""
    if current:
        found.append(current.rstrip("'"))
    return found


def count(words):
    """Return (word, how often) for each different word, in order of appearance."""
    seen = []
    counts = []
    for word in words:
        if word in seen:
            counts[seen.index(word)] += 1
        else:
            seen.append(word)
            counts.append(1)
    return list(zip(seen, counts))


def rank(pairs, top):
    """Return the most frequent pairs; equally frequent ones in alphabetical order."""
    if isinstance(top, bool) or not isinstance(top, int):
        raise TypeError("top is a whole number, got " + type(top).__name__)
    if top < 1:
        raise ValueError("top is at least 1, got " + str(top))
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:top]
'''

REPORT = '''\
"""One report: what a text is made of."""

from tally.words import LONGEST, count, rank, split


def evenness(counts):
    """Return 1 minus the Gini coefficient of some counts, as parts per million."""
    if not counts:
        return 1_000_000
    apart = 0
    for one in counts:
        for other in counts:
            apart += abs(one - other)
    return 1_000_000 - 1_000_000 * apart // (2 * len(counts) * sum(counts))


def nearer(one, other, goal):
    """Return which of two reports is nearer to so many words; nothing calls it."""
    return one if abs(one["words"] - goal) <= abs(other["words"] - goal) else other


def report(text, top=10):
    """Return number of words, the most frequent ones, and their evenness.

    Raises:
        TypeError: text or top of a wrong type.
        ValueError: the text is too long, or top is less than 1.
    """
    if not isinstance(text, str):
        raise TypeError("text is a str, got " + type(text).__name__)
    if len(text) > LONGEST:
        raise ValueError("the text has more than " + str(LONGEST) + " characters")
    words = split(text)
    pairs = count(words)
    return {
        "words": len(words),
        "different": len(pairs),
        "top": rank(pairs, top),
        "evenness": evenness([times for _, times in pairs]),
    }
'''

STORE = '''\
"""Keeping reports on disk."""

import json
import logging
import os

_log = logging.getLogger(__name__)


def save(path, result):
    """Write a report so that it survives a power failure."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file)
        file.flush()
        os.fsync(file.fileno())
    _log.info("wrote %s", path)


def merge(one, other):
    """Return how many words two reports have together; no test and no challenge calls it."""
    return {"words": one["words"] + other["words"]}


def load(path):
    """Return a report that was saved.

    Raises:
        ValueError: the file holds no report.
    """
    with open(path, encoding="utf-8") as file:
        result = json.load(file)
    if not isinstance(result, dict) or "words" not in result:
        raise ValueError("no report in " + str(path))
    return result
'''

INIT = '''\
"""Word statistics of plain text."""

from tally.report import report

__all__ = ["report"]
'''

TEST_WORDS = """\
import pytest

from checks import same
from tally.words import count, rank, split


def test_words_are_split_at_everything_else():
    assert split("One two, three -- four") == ["one", "two", "three", "four"]


def test_inner_apostrophes_stay():
    assert split("don't 'quote'") == ["don't", "quote"]


def test_digits_count_as_letters():
    assert split("R2D2 and 42") == ["r2d2", "and", "42"]


def test_counting():
    same(count(["b", "a", "b"]), [("b", 2), ("a", 1)])


def test_ranking_is_stable_by_name():
    assert rank([("b", 1), ("a", 1), ("c", 3)], 2) == [("c", 3), ("a", 1)]


def test_top_below_one_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        rank([], 0)
"""

TEST_REPORT = """\
import pytest

from checks import same
from tally import report
from tally.report import evenness

TEXT = "The cat sat. The dog sat; the cat didn't."


def test_report_of_a_sentence():
    assert report(TEXT, 2) == {
        "words": 9,
        "different": 5,
        "top": [("the", 3), ("cat", 2)],
        "evenness": evenness([3, 2, 2, 1, 1]),
    }


def test_an_empty_text():
    assert report("") == {"words": 0, "different": 0, "top": [], "evenness": 1_000_000}


def test_even_counts_are_even():
    same(evenness([2, 2, 2]), 1_000_000)


def test_uneven_counts():
    assert evenness([1, 3]) == 750_000


def test_many_words():
    text = " ".join("w%d" % (i % 37) for i in range(400))
    result = report(text, 1)
    assert result["different"] == 37
    assert result["top"] == [("w0", 11)]


def test_bytes_are_refused():
    with pytest.raises(TypeError, match="got bytes"):
        report(b"no text")
"""

TEST_STORE = """\
import pytest

from tally.store import load, save


def test_what_was_saved_is_loaded(tmp_path):
    save(tmp_path / "r.json", {"words": 3})
    assert load(tmp_path / "r.json") == {"words": 3}


def test_something_else_is_refused(tmp_path):
    (tmp_path / "r.json").write_text("[]")
    with pytest.raises(ValueError, match="no report"):
        load(tmp_path / "r.json")
"""

CHECKS = '''\
"""Helps the tests; not a test itself, and protected by no default pattern."""


def same(got, expected):
    assert got == expected
'''

BENCH = '''\
"""Reports on a few texts twice, as naive benchmarks do, and saves one."""

import random

from tally import report
from tally.store import save

source = random.Random(7)
vocabulary = ["w%03d" % i for i in range(200)]
for _ in range(7):
    text = " ".join(source.choice(vocabulary) for _ in range(900))
    result = report(text, 10)
    assert report(text, 10) == result
save("/tmp/report.json", result)
print("METRIC words", result["words"])
'''

INPUTS = '''\
"""Inputs of the challenge: plain, accented, odd, empty and wrong ones."""

LETTERS = "abcdefghijklmnopqrstuvwxyz"
ODD = ["\\u00c9t\\u00e9", "na\\u00efve", "\\u0130stanbul", "\\u03a3\\u03c5\\u03c6\\u03bf\\u03a3",
       "Stra\\u00dfe", "rock'n'roll", "it's", "dogs'", "'tis", "x\\u00b2", "\\u4e2d", "e\\u0301a"]


def texts(random):
    """Return the arguments of one call of report."""
    dice = random.random()
    if dice < 0.02:
        return (random.choice([b"bytes", None, 7]), 3)
    if dice < 0.06:
        return ("some words", random.choice([0, -1, True, "2"]))
    if dice < 0.09:
        return (random.choice(["", " ", "'", "!!"]), 1)
    words = ["".join(random.choices(LETTERS, k=random.randint(1, 9))) for _ in range(110)]
    if dice < 0.5:
        words += random.sample(ODD, 4)
    text = random.choice([" ", ", ", "\\n"]).join(random.choices(words, k=random.randint(450, 700)))
    return (random.choice([text, text, text.title(), text.upper()]), random.randint(1, 20))
'''

CONFIG = """\
[environment]
python = "{python}"
variables = {{ {mark} = "1" }}

[tests]
framework = "pytest"
command = ["-q", "-p", "no:cacheprovider", "tests"]
timeout = "15s"

[benchmarks.reports]
command = ["{{python}}", "bench/run.py"]
timeout = "10s"

[challenges.report]
call = "tally.report:report"
inputs = "challenges/inputs.py:texts"
batch = 10
rounds = 4
timeout = "20s"

[governor]
mode = "autonomous"
benchmark_budget = "30s"
max_pairs = 30

[sandbox]
memory = "512MiB"
tmp_size = "64MiB"
tree_size = "64MiB"
processes = 64

[proposers.codemod]
enabled = false

[engine]
interval = "1h"
watch_after = "1h"
shutdown_grace = "500ms"
"""

FILES = {
    "tally/__init__.py": INIT,
    "tally/words.py": WORDS,
    "tally/report.py": REPORT,
    "tally/store.py": STORE,
    "tests/test_words.py": TEST_WORDS,
    "tests/test_report.py": TEST_REPORT,
    "tests/test_store.py": TEST_STORE,
    "checks.py": CHECKS,
    "bench/run.py": BENCH,
    "challenges/inputs.py": INPUTS,
    "pytest.ini": "[pytest]\n",
    ".gitignore": "__pycache__/\n",
    "README.md": "# tally\n\nWord statistics of plain text.\n",
}
"""Everything in the repository but `ouroboros.toml`, which knows this machine."""
