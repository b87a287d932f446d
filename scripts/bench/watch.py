"""What watching a live service costs, and how fast it returns to what worked.

    .venv/bin/python scripts/bench/watch.py [--quick] [--json]

**Recovery.** A real engine and a real service in a process of its own, reloaded by restart. A
change that crashes after it was healthy, one that answers 503, one that hangs: from the entry of
the ledger that notes it to the entry that says the old version serves again. What an evaluation
finds is scripted, so that bad changes are promoted at all.

**Overhead.** Processor time of the service while it is only probed, once a second with its metrics
page read, in percent of a core.

**Metrics store.** 18 series, a sample each ten seconds, for 30 days (`--quick`: 3): one sample of
all, and a month of one series in 2,000 steps; beside it the same by a plain list of tuples in
memory (the floor).

Exit code 1 where a target is missed.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tests" / "engine")]

import psutil  # noqa: E402 - the paths above come first
import table  # noqa: E402 - same
from engine_world import World, reach  # noqa: E402 - same
from table import Row  # noqa: E402 - same
from test_engine_service import Live, serving, submit, until  # noqa: E402 - same

from ouroboros.metrics.series import ROUGH, SeriesStore  # noqa: E402 - same
from ouroboros.model.insight import Metric  # noqa: E402 - same
from ouroboros.model.phase import Phase  # noqa: E402 - same

SERIES = 18
STEP_S = 10


async def recovered(folder: Path, value: str, noted: str) -> float:
    """Return seconds from what was noted to the old version serving again."""
    live = Live(World(folder))
    live.configure(reload='by = "restart"')
    engine = await live.world.start()
    try:
        await serving(engine, 0)
        name = await submit(engine, value)
        state = await until(engine, lambda s: s.serving.what in noted.split())
        begun = state.serving.ts
        state = await serving(engine, 2)
        await reach(engine, name, Phase.ROLLED_BACK)
        return (state.serving.ts - begun) / 1e9
    finally:
        if engine._service._child is not None:  # noqa: SLF001 - it is left running otherwise
            await engine._service._child.stop(2.0)  # noqa: SLF001 - same
        await engine.close()
        live.world.stores[0].close()


async def overhead(folder: Path, seconds: float) -> float:
    """Return percent of a core that being probed costs the service."""
    live = Live(World(folder))
    live.configure()
    path = live.world.root / "ouroboros.toml"
    path.write_text(path.read_text().replace('interval = "100ms"', 'interval = "1s"'))
    engine = await live.world.start()
    try:
        process = psutil.Process((await serving(engine, 0)).serving.pid)
        await asyncio.sleep(2.0)
        before = sum(process.cpu_times()[:2])
        await asyncio.sleep(seconds)
        return 100 * (sum(process.cpu_times()[:2]) - before) / seconds
    finally:
        if engine._service._child is not None:  # noqa: SLF001 - it is left running otherwise
            await engine._service._child.stop(2.0)  # noqa: SLF001 - same
        await engine.close()
        live.world.stores[0].close()


def store(folder: Path, days: int) -> list[Row]:
    """Measure the store of series."""
    metrics = tuple(Metric(name=f"m{n}", unit="", kind="gauge", text="") for n in range(SERIES))
    kept = SeriesStore(metrics, folder / "metrics.sqlite")
    count = days * 86_400 // STEP_S
    db = kept._db  # noqa: SLF001 - filled as `add` would, without a commit for each
    with db:
        for number in range(SERIES):
            db.executemany(
                "INSERT INTO samples VALUES (?, ?, ?)",
                ((number + 1, n * STEP_S * 10**9, float(n % 977)) for n in range(count)),
            )
        db.execute(
            "INSERT INTO rough SELECT name, ts - ts % ?, count(*), avg(value), min(value), "
            "max(value) FROM samples GROUP BY 1, 2",
            (ROUGH,),
        )
    end = count * STEP_S * 10**9
    plain = [(n * STEP_S * 10**9, float(n % 977)) for n in range(count)]
    step = days * 86_400 / 1999
    asked, floor, taken = [], [], []
    for _ in range(9):
        begun = time.perf_counter()
        found = kept.query("m7", begin=0, end=end, step_s=step)
        asked.append(1000 * (time.perf_counter() - begun))
        begun = time.perf_counter()
        sums: dict[int, list[float]] = {}
        for ts, value in plain:
            sums.setdefault(int(ts // (step * 1e9)), []).append(value)
        floor.append(1000 * (time.perf_counter() - begun))
    if len(found.ts) < 1900:
        raise SystemExit(f"{len(found.ts)} points came.")
    values = {f"m{n}": 1.0 for n in range(SERIES)}
    for number in range(50):
        begun = time.perf_counter()
        kept.add(end + number * STEP_S * 10**9, values)
        taken.append(1000 * (time.perf_counter() - begun))
    kept.close()
    size = (folder / "metrics.sqlite").stat().st_size / (1 << 20)
    return [
        table.median(
            f"{days} days of a series at {STEP_S} s, in 2,000 steps",
            "ms",
            asked,
            target=100.0,
            floor=statistics.median(floor),
        ),
        table.median(f"one sample of {SERIES} series", "ms", taken),
        Row(f"the file after {days} days", "MiB", size),
    ]


def main() -> int:
    """Measure; return the exit code."""
    options = table.arguments(__doc__ or "")
    rounds = 2 if options.quick else 7
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="ob-") as place:
        for title, value, noted in (
            ("crash to the old version serving", "x + 66", "crashed"),
            ("503 to the old version serving", "x + 44", "unhealthy failed"),
            ("hang to the old version serving", "x + 55", "unhealthy failed"),
        ):
            took = []
            for number in range(rounds):
                folder = Path(place) / f"{noted[:5]}{value[-2:]}-{number}"
                folder.mkdir()
                took.append(asyncio.run(recovered(folder, value, noted)))
            rows.append(table.median(title, "s", took, target=2.0))
        folder = Path(place) / "probed"
        folder.mkdir()
        cost = asyncio.run(overhead(folder, 5.0 if options.quick else 30.0))
        rows.append(Row("a probed service, once a second: processor", "%", cost, 1.0))
        rows += store(Path(place), 3 if options.quick else 30)
    return table.report(rows, floor="list", as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
