"""What the engine keeps of its own figures: series over time, in a file beside the ledger.

Every sample is kept for 30 days, and means, least and most of five minutes for 400, in SQLite: rows
of one series lie side by side, so that a month is read in one go. It is no truth: a file that is
damaged is set aside and a new one begun, and nothing waits for its disk. The clock arrives as an
argument. Calls block; the engine makes them in a thread.
"""

import contextlib
import logging
import math
import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path

from ouroboros.errors import InvalidParamsError, NotFoundError
from ouroboros.model.insight import Metric, Points
from ouroboros.model.text import safe_line

_log = logging.getLogger(__name__)

MOST_POINTS = 2000
"""Points of one answer."""
_SECOND = 1_000_000_000
_DAY = 86_400 * _SECOND
KEPT = 30 * _DAY
"""How long every sample is kept."""
ROUGH = 300 * _SECOND
"""Length of a rough step."""
ROUGH_KEPT = 400 * _DAY
_PRUNE_EVERY = 3600 * _SECOND

_TABLES = """
CREATE TABLE IF NOT EXISTS names (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);
CREATE TABLE IF NOT EXISTS samples (
  name INTEGER NOT NULL, ts INTEGER NOT NULL, value REAL NOT NULL, PRIMARY KEY (name, ts)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rough (
  name INTEGER NOT NULL, ts INTEGER NOT NULL, count INTEGER NOT NULL, mean REAL NOT NULL,
  least REAL NOT NULL, most REAL NOT NULL, PRIMARY KEY (name, ts)
) WITHOUT ROWID;
"""


class SeriesStore:
    """Samples of a set of metrics, all taken at the same times."""

    def __init__(self, metrics: tuple[Metric, ...], path: Path | None = None) -> None:
        """Take what is measured, and the file to keep it in (None: memory)."""
        self.metrics = metrics
        self._names = frozenset(metric.name for metric in metrics)
        self._lock = threading.Lock()
        self._rolled = 0
        self._pruned = 0
        self._db = _opened(path)
        with self._db:
            self._db.executemany(
                "INSERT OR IGNORE INTO names (name) VALUES (?)", [(m.name,) for m in metrics]
            )
        self._ids: dict[str, int] = dict(self._db.execute("SELECT name, id FROM names"))

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    def add(self, ts: int, values: Mapping[str, float]) -> None:
        """Keep the values of one time (UTC ns); what is not finite, or not known, is left out."""
        rows = [
            (self._ids[name], ts, value)
            for name, value in values.items()
            if name in self._names and math.isfinite(value)
        ]
        try:
            with self._lock, self._db:
                self._db.executemany("INSERT OR REPLACE INTO samples VALUES (?, ?, ?)", rows)
                self._roll(ts)
                self._prune(ts)
        except sqlite3.Error as error:
            _log.warning("the metrics of a moment are lost: %s", error)

    def _roll(self, ts: int) -> None:
        """Keep what is complete of the five minutes before, roughly."""
        step = ts - ts % ROUGH
        if step == self._rolled:
            return
        last = self._rolled or step - ROUGH
        self._rolled = step
        self._db.execute(
            "INSERT OR REPLACE INTO rough SELECT name, ts - ts % ?, count(*), avg(value), "
            "min(value), max(value) FROM samples WHERE ts >= ? AND ts < ? GROUP BY 1, 2",
            (ROUGH, last, step),
        )

    def _prune(self, ts: int) -> None:
        if ts - self._pruned < _PRUNE_EVERY:
            return
        self._pruned = ts
        self._db.execute("DELETE FROM samples WHERE ts < ?", (ts - KEPT,))
        self._db.execute("DELETE FROM rough WHERE ts < ?", (ts - ROUGH_KEPT,))

    def query(self, name: str, *, begin: int, end: int, step_s: float) -> Points:
        """Return a series between two times (UTC ns; the end is left out).

        Where samples are not kept any more, and for steps of ten minutes or more, the rough ones
        are taken; a rough step counts where it begins.

        Raises:
            NotFoundError: no such metric.
            InvalidParamsError: it would be more than `MOST_POINTS` points.
        """
        if name not in self._names:
            raise NotFoundError(
                f"There is no metric {safe_line(name, limit=80)!r}.",
                hint="'metrics.list' names them.",
            )
        step = max(int(step_s * _SECOND), 1)
        if (end - begin) / step > MOST_POINTS:
            raise InvalidParamsError(
                f"Invalid params: more than {MOST_POINTS} points between `from` and `to`.",
                hint="Ask for a longer step or a shorter time.",
            )
        found = self._read(self._ids[name], begin, end, step)
        return Points(
            name=name,
            step_s=step / _SECOND,
            ts=tuple(begin + number * step for number, *_ in found),
            mean=tuple(row[1] for row in found),
            least=tuple(row[2] for row in found),
            most=tuple(row[3] for row in found),
        )

    def _read(
        self, name: int, begin: int, end: int, step: int
    ) -> list[tuple[int, float, float, float]]:
        with self._lock:
            first = self._db.execute(
                "SELECT min(ts) FROM samples WHERE name = ?", (name,)
            ).fetchone()[0]
            border = max(begin, first if first is not None else end)
            if step >= 2 * ROUGH:  # a long stretch: the rough ones do, and are thirty times fewer
                last = self._db.execute(
                    "SELECT max(ts) FROM rough WHERE name = ?", (name,)
                ).fetchone()[0]
                border = max(border, last + ROUGH if last is not None else border)
            border = min(border, end)
            rows = self._db.execute(
                "SELECT n, sum(mean * count) / sum(count), min(least), max(most) FROM ("
                "  SELECT (ts - :begin) / :step AS n, avg(value) AS mean, min(value) AS least,"
                "    max(value) AS most, count(*) AS count FROM samples"
                "  WHERE name = :name AND ts >= :border AND ts < :end GROUP BY n"
                "  UNION ALL"
                "  SELECT (ts - :begin) / :step, mean, least, most, count FROM rough"
                "  WHERE name = :name AND ts >= :begin AND ts + :rough <= :border"
                ") GROUP BY n ORDER BY n",
                {
                    "begin": begin,
                    "step": step,
                    "name": name,
                    "border": border,
                    "end": end,
                    "rough": ROUGH,
                },
            )
            return list(rows)


def _opened(path: Path | None) -> sqlite3.Connection:
    """Open the file; one that is damaged is set aside."""
    if path is None:
        return _prepared(":memory:")
    try:
        return _prepared(str(path))
    except sqlite3.DatabaseError as error:
        _log.warning("the metrics in %s cannot be read (%s); begun anew", path, error)
        with contextlib.suppress(OSError):
            path.replace(path.with_suffix(".damaged"))
        for more in ("-wal", "-shm"):
            Path(f"{path}{more}").unlink(missing_ok=True)
        return _prepared(str(path))


def _prepared(name: str) -> sqlite3.Connection:
    db = sqlite3.connect(name, check_same_thread=False, timeout=5.0)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF")  # no truth: nothing waits for the disk
        db.executescript(_TABLES)
        db.execute("SELECT count(*) FROM rough WHERE name = 0").fetchone()
    except sqlite3.Error:
        db.close()
        raise
    return db
