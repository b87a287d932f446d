"""What a configuration asks of a machine, and what is said where it is missing."""

import os
from pathlib import Path

import pytest

from ouroboros.config import Config, parse
from ouroboros.errors import EvaluationError
from ouroboros.evaluation import needs

PLAIN = b'[benchmarks.b]\ncommand = ["true"]\n'
COUNTED = PLAIN + b"[benchmarks.b.metrics.instructions]\n"
DUET = PLAIN + b'pairing = "duet"\n'


def config(source: bytes) -> Config:
    return parse(source).config


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without valgrind, of one processor."""
    monkeypatch.setattr(needs, "_PATH", str(tmp_path))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})


@pytest.mark.usefixtures("bare")
def test_valgrind_is_missing() -> None:
    (need,) = needs.missing(config(COUNTED))
    assert need.fix == "Install valgrind, or remove [benchmarks.b.metrics.instructions]."
    with pytest.raises(EvaluationError, match="no valgrind"):
        needs.check(config(COUNTED))


@pytest.mark.usefixtures("bare")
def test_a_second_processor_is_missing() -> None:
    (need,) = needs.missing(config(DUET))
    assert "only one processor" in need.text
    assert 'pairing = "sequential"' in need.fix


@pytest.mark.usefixtures("bare")
def test_nothing_is_asked_that_is_not_configured() -> None:
    needs.check(config(PLAIN))


def test_two_processors_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    needs.check(config(DUET))
