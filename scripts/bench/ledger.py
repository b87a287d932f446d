"""What the ledger costs: appends, verification of a million entries, queries, opening, bytes.

    .venv/bin/python scripts/bench/ledger.py [--quick] [--json]

**Append.** One entry, on disk when it returns: by the store, beside plain JSON lines with a hash
chain and fsync (the floor), and beside a git commit per entry. The three take turns, so that they
see the same disk.

**Verify.** The whole `ledger verify` of a file: read, chain, columns against bytes, Merkle tree
against stored tiles, signed heads, candidates' table. The floor is what no verifier can leave out,
on bytes that are in memory already: SHA-256 of each entry for the chain and for its leaf, the nodes
of the tree, and the decoding of each entry's head (number, link, time). Both are medians of rounds
that take turns. A verification of that length runs in as many processes as there are processors; in
one process it is shown beside. On a busy machine more processes gain nothing; the processor time
of both, which depends less on others, is shown as well.

**Queries, opening.** Pages of 50 entries, decoded: the newest, from a random place, by kind, by
candidate; one entry by its key; a proof; the root. At three sizes: they must not grow. Opening
includes the state of the tree that the next append needs.

`--quick` stops at 100,000 entries. Exit code 1 where a target is missed.
"""

import gc
import hashlib
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import table

from ouroboros.ledger import chain, heads, merkle, stretch
from ouroboros.ledger.audit import Wanted, audit
from ouroboros.ledger.chain import touched_by
from ouroboros.ledger.store import Store
from ouroboros.ledger.tree import Tree
from ouroboros.model import events as ev
from ouroboros.model.entry import GENESIS, Entry
from ouroboros.model.proposal import Cost

NOW = 1_790_000_000_000_000_000
HEAD_EVERY = 50_000
"""Entries between two signed heads. A head costs a signature, 0.1 ms, wherever it stands."""
TEXT = "The inner loop looks up an attribute in each pass; a local name is cheaper and as clear. "


def events(count: int) -> Iterator[ev.AnyEvent]:
    """Yield a life like an engine's: a candidate is proposed, applied, evaluated, turned down."""
    yield ev.TargetAdopted(target="bench-1", path="/t", branch="main", commit="a" * 40)
    number = 1
    while number < count:
        name = f"c{number}"
        digest = hashlib.sha256(name.encode()).hexdigest()
        life: tuple[ev.AnyEvent, ...] = (
            ev.CycleStarted(cycle=number, trigger="interval", base=digest[:40]),
            ev.Proposed(
                candidate=name,
                cycle=number,
                proposer="codemod",
                title="Keep the attribute in a local name",
                rationale=TEXT,
                base=digest[:40],
                diff=digest,
                idea=digest[:16],
                cost=Cost(),
            ),
            ev.EvaluationStarted(candidate=name, attempt=1, executor="local"),
            ev.Denied(candidate=name, reason=TEXT),
            ev.Expired(candidate=name),
            ev.CycleFinished(cycle=number, outcome="proposed", proposals=1, text=TEXT),
        )
        for event in life:
            if number < count:
                yield event
                number += 1


def build(folder: Path, count: int) -> Path:
    """Make a ledger of `count` entries."""
    path = folder / f"{count}" / "ledger.sqlite"
    fill(path, "bench-1", events(count))
    return path


def fill(path: Path, target: str, life: Iterator[ev.AnyEvent]) -> None:
    """Make a ledger of these events, byte for byte as the store does, without its fsyncs."""
    key = heads.key_of(made(path.parent), target)
    with Store.open(path) as store:
        db = store.connection
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA wal_autocheckpoint = 20000")
        tree, prev = Tree(db), GENESIS
        db.execute("BEGIN")
        seq = 0
        for seq, event in enumerate(life, 1):
            entry = Entry(
                v=1,
                seq=seq,
                ts=NOW + seq,
                actor="engine",
                idem=f"{seq:032x}",
                prev=prev,
                event=event,
            )
            data = chain.encode(entry)
            prev = chain.hash_of(data)
            db.execute(
                "INSERT INTO entries (seq, ts, kind, actor, idem, bytes, hash) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (seq, entry.ts, event.kind, entry.actor, entry.idem, data, prev),
            )
            for name in touched_by(event):
                db.execute("INSERT INTO touched (candidate, seq) VALUES (?, ?)", (name, seq))
            tree.append(seq, data)
            if seq % HEAD_EVERY == 0:
                db.execute("COMMIT")
                heads.sign_head(store, key, ts=NOW + seq)
                db.execute("BEGIN")
        db.execute("COMMIT")
        if seq % HEAD_EVERY:
            heads.sign_head(store, key, ts=NOW + seq)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def made(folder: Path) -> Path:
    """Make a folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# --- appends ------------------------------------------------------------------------------------


def appends(folder: Path, *, count: int, commits: int) -> list[table.Row]:
    """Append by three stores in turn; return their rows."""
    event = ev.Denied(candidate="c1", reason=TEXT)
    store = Store.open(made(folder / "append") / "ledger.sqlite")
    lines = os.open(folder / "append" / "lines", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    repository = made(folder / "append" / "git")
    git(repository, "init", "-q")
    prev = GENESIS
    took: dict[str, list[float]] = {"store": [], "lines": [], "git": []}

    def by_store(n: int) -> None:
        store.append(event, actor="engine", ts=NOW + n, idem=f"{n:032x}")

    def by_lines(n: int) -> None:
        nonlocal prev
        entry = Entry(
            v=1, seq=n, ts=NOW + n, actor="engine", idem=f"{n:032x}", prev=prev, event=event
        )
        data = chain.encode(entry)
        prev = chain.hash_of(data)
        os.write(lines, data + b"\n")
        os.fsync(lines)

    def by_git(n: int) -> None:
        git(repository, "commit", "-q", "--allow-empty", "-m", f"{n} {TEXT}")

    every = max(1, count // commits)
    for n in range(1, count + 1):
        took["store"].append(timed(lambda n=n: by_store(n)))
        took["lines"].append(timed(lambda n=n: by_lines(n)))
        if n % every == 0:
            took["git"].append(timed(lambda n=n: by_git(n)))
    store.close()
    os.close(lines)
    floor = statistics.median(took["lines"])
    rows = [
        table.median("append: store", "ms", took["store"], floor=floor),
        table.median("append: JSON lines + fsync", "ms", took["lines"]),
        table.median("append: git commit", "ms", took["git"], floor=floor),
    ]
    for name, samples in (("store", took["store"]), ("JSON lines", took["lines"])):
        p99 = statistics.quantiles(samples, n=100)[98]
        rows += [
            table.Row(f"append p99: {name}", "ms", p99, samples=len(samples)),
            table.Row(f"appends a second: {name}", "1/s", 1000 * len(samples) / sum(samples)),
        ]
    return rows


def git(folder: Path, *args: str) -> None:
    """Run git on its own configuration, writing through to the disk."""
    names = ["-c", "user.name=B", "-c", "user.email=b@example.org", "-c", "core.fsync=all"]
    subprocess.run(["git", "-C", str(folder), *names, *args], check=True, capture_output=True)


def timed(work: Callable[[], object]) -> float:
    """Return milliseconds."""
    begun = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - begun) / 1e6


# --- verification -------------------------------------------------------------------------------


def floor_ms(path: Path) -> tuple[float, float]:
    """Hash and decode what must be, on bytes in memory; return wall and processor time of that."""
    db = stretch.connect(path)
    cursor = db.execute("SELECT bytes FROM entries ORDER BY seq")
    total, cpu, sha256, decode = 0, 0, hashlib.sha256, chain._ENVELOPE.decode  # noqa: SLF001 - the floor of it
    while rows := cursor.fetchmany(stretch.WIDTH * 16):
        datas = [row[0] for row in rows]
        begun, spent = time.perf_counter_ns(), time.process_time_ns()
        for data in datas:
            sha256(data).hexdigest()
        leaves = [sha256(b"\x00" + data).digest() for data in datas]
        for data in datas:
            decode(data)
        while len(leaves) > 1:
            leaves = merkle.above(leaves[: len(leaves) & ~1])
        total += time.perf_counter_ns() - begun
        cpu += time.process_time_ns() - spent
    db.close()
    return total / 1e6, cpu / 1e6


def verifications(path: Path, *, count: int, rounds: int, target: float | None) -> list[table.Row]:
    """Verify and do the floor in turn; return the rows."""
    key = heads.verifier_of(path.parent)
    cores = os.cpu_count() or 1
    took: dict[str, list[float]] = {"floor": [], "one": [], "all": []}
    spent: dict[str, list[float]] = {"floor": [], "one": [], "all": []}

    def verify(jobs: int) -> None:
        found = audit(path, Wanted(key=key, jobs=jobs))
        assert (found.exit_code, found.entries) == (0, count), found.problems

    for _ in range(rounds):
        gc.collect()
        wall, cpu = floor_ms(path)
        took["floor"].append(wall)
        spent["floor"].append(cpu)
        for jobs, figure in ((1, "one"), (cores, "all")):
            begun = processor_ms()
            took[figure].append(timed(lambda jobs=jobs: verify(jobs)))
            spent[figure].append(processor_ms() - begun)
    floor = statistics.median(took["floor"])
    name = f"verify {count:,}"
    bound = target * floor if target else None
    return [
        table.median(f"{name}: {cores} processes", "ms", took["all"], floor=floor, target=bound),
        table.median(f"{name}: one process", "ms", took["one"], floor=floor),
        table.median(f"{name}: hashing and heads", "ms", took["floor"]),
        *(
            table.median(
                f"{name}: processor time, {figure}",
                "ms",
                samples,
                floor=statistics.median(spent["floor"]) if figure != "floor" else None,
            )
            for figure, samples in spent.items()
        ),
    ]


def processor_ms() -> float:
    """Return the processor time of this process and of those that it waited for."""
    times = os.times()
    return 1000 * (times.user + times.system + times.children_user + times.children_system)


# --- queries ------------------------------------------------------------------------------------


def queries(path: Path, count: int, *, rounds: int) -> list[table.Row]:
    """Ask for pages, keys and proofs at random places; return the rows of one size."""
    rng = random.Random(count)  # noqa: S311 - places to look at
    names = range(2, count, 6)

    def place() -> int:
        return rng.randrange(60, count)

    with Store.open(path, read_only=True) as store:
        size = store.head().size
        asked: dict[str, Callable[[], object]] = {
            "newest page": lambda: store.page(limit=50),
            "page anywhere": lambda: store.page(before=place(), limit=50),
            "page of a kind": lambda: store.page(before=place(), limit=50, kind="denied"),
            "page of a candidate": lambda: store.page(candidate=f"c{rng.choice(names)}", limit=50),
            "entry by key": lambda: store.find(f"{place():032x}"),
            "proof of inclusion": lambda: store.inclusion(place(), size),
            "proof of consistency": lambda: store.consistency(place(), size),
        }
        found = {}
        for figure, ask in asked.items():
            ask()
            found[figure] = [timed(ask) for _ in range(rounds)]
    targets = {figure: 1.0 for figure in asked if "proof" not in figure}
    targets |= {"proof of inclusion": 3.0, "proof of consistency": 3.0}
    rows = [
        table.median(f"{figure} ({count:,})", "ms", samples, target=targets[figure])
        for figure, samples in found.items()
    ]

    def opening() -> None:
        with Store.open(path, read_only=True) as opened:
            opened.root(opened.head().size)

    samples = [timed(opening) for _ in range(rounds)]
    rows.append(table.median(f"open ({count:,})", "ms", samples, target=5.0))
    db = sqlite3.connect(path)
    (stored,) = db.execute("SELECT sum(length(bytes)) FROM entries").fetchone()
    db.close()
    each, floor = path.stat().st_size / count, stored / count
    rows.append(table.Row(f"bytes an entry ({count:,})", "B", each, floor=floor))
    return rows


def main() -> int:
    """Measure, print one table, return the exit code."""
    given = table.arguments(__doc__)
    sizes = (1_000, 100_000) if given.quick else (1_000, 100_000, 1_000_000)
    with tempfile.TemporaryDirectory(
        prefix="ouro-bench-ledger-", dir=os.environ.get("BENCH_DIR")
    ) as name:
        folder = Path(name)
        many, commits = (200, 20) if given.quick else (1_000, 100)
        rows = appends(folder, count=many, commits=commits)
        for count in sizes:
            path = build(folder, count)
            rows += queries(path, count, rounds=50 if given.quick else 200)
            if count == sizes[-1]:
                target = None if given.quick else 1.3
                rows += verifications(path, count=count, rounds=3, target=target)
    return table.report(rows, floor="floor", as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
