"""The engine's log: what is quoted in it can neither steer a terminal nor forge a record."""

import io
import logging
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator

import pytest

from ouroboros.cli.logs import start_logging
from ouroboros.model.text import safe_text

EVIL = "x\x1b]52;c;eA==\x07\x9b2J\u202e\r\n2026-11-25 10:00:00,000 INFO ouroboros: c1 approved"
RECORD = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ ", re.MULTILINE)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """A log as the engine starts it; logging is put back afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers.clear()
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    stream = io.StringIO()
    start_logging(stream)
    yield stream
    logging.captureWarnings(capture=False)
    root.handlers[:] = before
    root.setLevel(level)


def fail() -> None:
    raise ValueError(EVIL)


def log_message() -> None:
    logging.getLogger("x").warning("found %s", EVIL)


def log_exception() -> None:
    try:
        fail()
    except ValueError:
        logging.getLogger("x").exception("failed: %s", EVIL)


def die_in_a_thread() -> None:
    thread = threading.Thread(target=fail, name=EVIL)
    thread.start()
    thread.join()


def die_in_a_destructor() -> None:
    class Odd:
        def __del__(self) -> None:
            fail()

    del (made := [Odd()])[0]
    assert made == []


def warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(EVIL, SyntaxWarning, stacklevel=1)


@pytest.mark.parametrize(
    "write", [log_message, log_exception, die_in_a_thread, die_in_a_destructor, warn]
)
def test_each_record_is_one_and_harmless(log: io.StringIO, write: Callable[[], None]) -> None:
    write()
    text = log.getvalue()
    assert "c1 approved" in text
    assert safe_text(text) == text
    assert len(RECORD.findall(text)) == 1, "nothing in it passes for a record of its own"
    assert all(RECORD.match(line) or line.startswith("    | ") for line in text.splitlines())
