"""What the engine shows of itself: health, log, workers, metrics, configuration, alerts."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from engine_world import FASTER, World, reach
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.engine.api import Submission
from ouroboros.engine.daemon import Engine
from ouroboros.engine.logring import LogRing
from ouroboros.errors import InvalidParamsError, NotFoundError, WaitTimeoutError
from ouroboros.metrics.series import SeriesStore
from ouroboros.model.insight import Metric
from ouroboros.model.phase import Phase
from ouroboros.model.snapshot import Activity

BY = "uid:ann"
SECOND = 10**9


async def test_health_is_silent_where_nothing_is_wrong_and_names_what_is(world: World) -> None:
    engine = await world.start()
    assert engine.inside.health().ok
    engine._core.halt("the ledger is on fire")
    found = engine.inside.health()
    assert not found.ok
    assert (found.problems[0].code, found.problems[0].text) == ("halted", "the ledger is on fire")
    assert "resume" in found.problems[0].hint


async def test_an_alert_is_acknowledged_by_somebody_and_health_forgets_it(world: World) -> None:
    engine = await world.start()
    await engine._core.alert("fire", "critical", "smoke \x1b[31m in the room")
    assert any(p.code == "alerts" for p in engine.inside.health().problems)
    newest = engine.inside.alerts()[0]
    assert newest.acked_by == ""
    acked = await engine.inside.ack(newest.seq, actor=BY, reason="seen")
    assert acked.acked_by == BY
    assert not any(p.code == "alerts" for p in engine.inside.health().problems)
    with pytest.raises(NotFoundError):
        await engine.inside.ack(1, actor=BY, reason="")
    await world.stop(engine)
    again = await world.start()
    assert again.inside.alerts()[0].acked_by == BY


async def test_a_test_alert_says_how_each_sink_took_it(world: World) -> None:
    class Broken:
        name = "broken"

        async def send(self, _alert: Any) -> None:
            raise OSError("no such \x1b[31m host")

    class Works:
        name = "works"

        def __init__(self) -> None:
            self.seen: list[str] = []

        async def send(self, alert: Any) -> None:
            self.seen.append(alert.code)

    engine = await world.start()
    works = Works()
    engine._core.deps = _with_sinks(engine, [Broken(), works])
    broken, fine = await engine.inside.try_alert(actor=BY)
    assert (broken.sink, broken.ok) == ("broken", False)
    assert "no such" in broken.problem
    assert "\x1b" not in broken.problem
    assert (fine.ok, works.seen) == (True, ["test"])
    assert world.kinds().count("alert_raised") == 1


def _with_sinks(engine: Engine, sinks: list[Any]) -> Any:
    from dataclasses import replace

    return replace(engine._core.deps, sinks=sinks)


async def test_waiting_for_the_engine(world: World) -> None:
    engine = await world.start()
    with pytest.raises(WaitTimeoutError, match="still"):
        await engine.inside.wait(frozenset({Activity.PAUSED}), 0.01)
    waiting = asyncio.ensure_future(engine.inside.wait(frozenset({Activity.PAUSED}), 20))
    await engine.pause(actor=BY, reason="lunch", now=False)
    assert (await waiting).paused


async def test_what_changed_the_configuration(world: World) -> None:
    engine = await world.start()
    changes = {"governor.max_lines": 7}
    await engine.set_limits(changes, actor=BY, reason="careful")
    newest, *rest = await engine.inside.config_history(10)
    assert (newest.actor, newest.reason, dict(newest.changes)) == (BY, "careful", changes)
    assert rest
    assert len(await engine.inside.config_history(1)) == 1


async def test_a_configuration_is_tried_without_taking_it(world: World) -> None:
    engine = await world.start()
    text = engine.config.source.decode()
    assert engine.inside.check_config(text).changed == ()
    other = engine.inside.check_config(text + '\n[rpc]\nlisten = "127.0.0.1:7"\n')
    assert (other.ok, other.changed) == (True, ("rpc.listen",))
    bad = engine.inside.check_config("[governor]\nmax_lines = 'x'\n")
    assert not bad.ok
    assert "max_lines" in bad.problem
    assert engine.config.source.decode() == text


async def test_who_evaluates_and_what(world: World) -> None:
    engine = await world.start()
    gate = world.executor.gate = asyncio.Event()
    name = await engine.submit(Submission(diff=FASTER, title="t"), actor=BY)
    await reach(engine, name, Phase.EVALUATING)
    (worker,) = engine.inside.workers()
    assert worker.busy == (name,)
    gate.set()


async def test_the_log_of_this_engine(world: World) -> None:
    engine = await world.start()
    logging.getLogger("ouroboros.test").warning("a \x1b[31mred\x1b[0m word")
    page = engine.inside.log(after=-1, limit=1000, level="WARNING")
    assert page.lines[-1].text == "a \u241b[31mred\u241b[0m word"
    await world.stop(engine)
    logging.getLogger("ouroboros.test").warning("after its end")
    assert engine.inside.log(after=-1, limit=1, level="WARNING").lines[-1].text != "after its end"


def test_lines_of_the_log_by_cursor() -> None:
    ring = LogRing(kept=5)
    for number in range(1, 9):
        level = logging.WARNING if number % 2 else logging.INFO
        ring.emit(logging.LogRecord("t", level, "", 0, "line %d", (number,), None))
    ring.emit(logging.LogRecord("t", logging.ERROR, "", 0, "%d", ("no number",), None))
    first = ring.page(after=0, limit=2, level="INFO")
    assert [line.number for line in first.lines] == [5, 6]
    assert (first.next, first.lost) == (6, 4)
    rest = ring.page(after=first.next, limit=10, level="WARNING")
    assert [line.number for line in rest.lines] == [7, 9]
    assert (rest.next, rest.lost) == (9, 0)
    assert "cannot be formatted" in rest.lines[-1].text
    assert ring.page(after=9, limit=10, level="INFO").lines == ()


def test_series_by_steps() -> None:
    store = SeriesStore((Metric(name="x", unit="", kind="gauge", text=""),))
    for second in range(200):
        store.add(second * SECOND, {"x": float(second), "other": 1.0})
    store.add(200 * SECOND, {"x": float("nan")})
    found = store.query("x", begin=190 * SECOND, end=201 * SECOND, step_s=5)
    assert found.ts == (190 * SECOND, 195 * SECOND)
    assert found.mean == (192.0, 197.0)
    assert (found.least, found.most) == ((190.0, 195.0), (194.0, 199.0))
    assert store.query("x", begin=300 * SECOND, end=350 * SECOND, step_s=1).ts == ()
    with pytest.raises(NotFoundError):
        store.query("other", begin=0, end=1, step_s=1)
    with pytest.raises(InvalidParamsError, match="points"):
        store.query("x", begin=0, end=10**6 * SECOND, step_s=1)


X = (Metric(name="x", unit="", kind="gauge", text=""),)
HOUR = 3600 * SECOND


def test_series_outlive_the_process(tmp_path: Path) -> None:
    store = SeriesStore(X, tmp_path / "m.sqlite")
    store.add(5 * SECOND, {"x": 1.0})
    store.close()
    store = SeriesStore(X, tmp_path / "m.sqlite")
    assert store.query("x", begin=0, end=10 * SECOND, step_s=10).mean == (1.0,)
    store.close()


@pytest.mark.parametrize("damage", [b"no database at all", b""])
def test_a_damaged_file_is_set_aside(tmp_path: Path, damage: bytes) -> None:
    file = tmp_path / "m.sqlite"
    store = SeriesStore(X, file)
    store.add(5 * SECOND, {"x": 1.0})
    store.close()
    file.write_bytes(damage)
    store = SeriesStore(X, file)
    store.add(6 * SECOND, {"x": 2.0})
    assert store.query("x", begin=0, end=10 * SECOND, step_s=10).mean == (2.0,)
    store.close()


def test_what_is_older_than_a_month_is_kept_roughly() -> None:
    store = SeriesStore(X)
    for minute in range(0, 40 * 24 * 60, 10):
        store.add(minute * 60 * SECOND, {"x": float(minute % 60)})
    end = 40 * 24 * HOUR
    kept = store._db.execute("SELECT min(ts), count(*) FROM samples").fetchone()
    assert kept[0] >= 9 * 24 * HOUR
    assert kept[1] <= 31 * 24 * 6
    found = store.query("x", begin=0, end=end, step_s=24 * 3600)
    assert len(found.ts) == 40
    assert found.mean[0] == pytest.approx(25.0, abs=1.0)
    assert found.mean[39] == pytest.approx(25.0, abs=1.0)
    assert (found.least[3], found.most[3]) == (0.0, 50.0)


@given(
    st.lists(st.tuples(st.integers(0, 400), st.floats(-1e6, 1e6)), max_size=60), st.integers(1, 90)
)
def test_a_query_is_what_the_samples_say(rows: list[tuple[int, float]], step: int) -> None:
    store = SeriesStore(X)
    wanted: dict[int, float] = {}
    for second, value in rows:
        store.add(second * SECOND, {"x": value})
        wanted[second] = value
    found = store.query("x", begin=0, end=401 * SECOND, step_s=float(step))
    steps: dict[int, list[float]] = {}
    for second, value in wanted.items():
        steps.setdefault(second // step, []).append(value)
    assert found.ts == tuple(n * step * SECOND for n in sorted(steps))
    assert found.mean == pytest.approx([sum(v) / len(v) for _, v in sorted(steps.items())])
    assert list(found.least) == [min(v) for _, v in sorted(steps.items())]
    store.close()
