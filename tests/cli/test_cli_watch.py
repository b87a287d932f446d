"""`watch`: the stream as lines, over reconnections, without a gap and without a repetition."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest
from cli_world import SCRIPT, Served, script, until

from ouroboros.engine.api import LossyEvent
from ouroboros.model.events import Paused, Resumed
from ouroboros.model.progress import Progress

Watch = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def watch(target: Path) -> Iterator[Watch]:
    made: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> "subprocess.Popen[str]":
        made.append(
            subprocess.Popen(
                [str(SCRIPT), "watch", *arguments],
                cwd=target,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return made[-1]

    yield start
    for process in made:
        process.kill()
        process.communicate()


def lines(stream: IO[str] | None, count: int) -> list[str]:
    assert stream is not None
    return [stream.readline().rstrip("\n") for _ in range(count)]


def test_replay_as_lines(watch: Watch, served: Served) -> None:
    process = watch("--from-seq", "0")
    seen = lines(process.stdout, len(served.engine.entries))
    numbers = [int(line.split()[1]) for line in seen]
    assert numbers == list(range(1, len(seen) + 1))
    assert "engine.adopted" in seen[0]
    assert not any("\x1b" in line for line in seen), "titles are made safe"


def test_replay_as_json(watch: Watch, served: Served) -> None:
    process = watch("--from-seq", "0", "--json", "--topics", "candidate.held, loop.*")
    first, second = (json.loads(line) for line in lines(process.stdout, 2))
    assert first["topic"] == second["topic"] == "candidate.held"
    assert first["hash"] == served.engine.entries[first["seq"] - 1].hash
    assert second["entry"]["event"]["candidate"] == "c3"
    assert set(first) == {"seq", "topic", "hash", "entry"}


def test_live_progress(watch: Watch, served: Served) -> None:
    process = watch("--topics", "candidate.progress,loop.paused")
    until(lambda: served.subscriptions > 0)
    progress = Progress(candidate="c9", stage="tests", done=2, total=7)
    served.do(lambda: served.engine.hint(LossyEvent(topic="candidate.progress", data=progress)))
    (line,) = lines(process.stdout, 1)
    assert line.split()[1:] == ["-", "candidate.progress", "c9", "tests", "2/7"]


def test_reconnects_without_gap_or_repetition(watch: Watch, served: Served) -> None:
    process = watch("--json")
    until(lambda: served.subscriptions > 0)
    served.do(lambda: served.engine.record(Paused(reason="one")))
    assert json.loads(lines(process.stdout, 1)[0])["entry"]["event"]["reason"] == "one"
    served.stop()
    served.do(lambda: served.engine.record(Resumed(reason="while nobody listened")))
    served.start()
    served.do(lambda: served.engine.record(Paused(reason="two")))
    seen = [json.loads(line) for line in lines(process.stdout, 2)]
    assert [s["entry"]["event"]["reason"] for s in seen] == ["while nobody listened", "two"]
    assert "Waiting for it to come back" in lines(process.stderr, 1)[0]


def test_once_ends_with_the_engine(watch: Watch, served: Served) -> None:
    process = watch("--once")
    until(lambda: served.subscriptions > 0)
    served.stop()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 8
    assert err.startswith("error: ")


def test_no_topic_is_refused(served: Served, target: Path) -> None:
    assert script("watch", "--topics", " , ", cwd=target).code == 2


def test_a_cursor_from_the_future_is_refused(served: Served, target: Path) -> None:
    ended = script("watch", "--from-seq", "9999", cwd=target)
    assert (ended.code, ended.out) == (4, "")
