"""What the cockpit costs: time to the first picture, processor, bytes to the terminal, keys.

    .venv/bin/python scripts/bench/tui.py [--quick] [--json]

**First paint.** `ouroboros tui` is started on a real pty against a real engine whose ledger has a
million entries and 10,000 candidates (`--quick`: 50,000 and 2,000); the clock runs from exec to
the moment in which a candidate's row has arrived at the terminal. Beside it: the same for a
`textual` application that shows one line (the floor of any such program here).

**Idle, busy.** Processor time of the cockpit's process and bytes to the terminal, attached over
the service to an engine that says nothing, and to one that says 50 events a second; once as it
paints locally, once as over SSH.

**Keys.** From the byte of a key at the pty to the last byte of the picture that it causes (no more
for 8 ms), 160 times, while 50 events a second come in.

**Memory.** Resident memory of the cockpit's process after the first 20,000 events, and after as
many as an hour of them at 50 a second has (`--quick`: 5,000 and 30,000), as fast as they go.

Exit code 1 where a target is missed.
"""

import contextlib
import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import table
from table import Row

ROOT = Path(__file__).resolve().parents[2]
SERVERS = Path(__file__).with_name("tui_engine.py")
LINE = """
import textual.app as a, textual.widgets as w
class A(a.App):
    def compose(self): yield w.Static("the first line")
A().run()
"""
ROWS, COLUMNS = 40, 120


class Screen:
    """A program on a pty; counts what it writes, and keeps the end of it."""

    def __init__(self, argv: list[str], environ: dict[str, str]) -> None:
        self.begun = time.perf_counter()
        self.bytes = 0
        self.tail = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(argv[0], argv, environ)  # noqa: S606 - a pty needs fork
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.process = psutil.Process(self.pid)

    def read(self, wait_s: float) -> bool:
        """Read what is there; False where nothing came."""
        if not select.select([self.fd], [], [], wait_s)[0]:
            return False
        with contextlib.suppress(OSError):
            data = os.read(self.fd, 1 << 18)
            self.bytes += len(data)
            self.tail = (self.tail + data)[-(1 << 18) :]
            return True
        return False

    def until(self, text: bytes, within_s: float = 60.0) -> float:
        """Read until a text has come; returns seconds since the start."""
        deadline = time.perf_counter() + within_s
        while text not in self.tail:
            if time.perf_counter() > deadline:
                raise SystemExit(f"{text!r} did not come: {self.tail[-2000:]!r}")
            self.read(0.5)
        return time.perf_counter() - self.begun

    def watch(self, seconds: float) -> tuple[float, float]:
        """Return percent of a core and bytes a second over a while."""
        before, size = sum(self.process.cpu_times()[:2]), self.bytes
        begun = time.perf_counter()
        while (left := begun + seconds - time.perf_counter()) > 0:
            self.read(min(left, 0.2))
        spent = time.perf_counter() - begun
        cpu = sum(self.process.cpu_times()[:2]) - before
        return 100 * cpu / spent, (self.bytes - size) / spent

    def key(self, key: bytes, quiet_s: float = 0.008) -> float:
        """Press a key; return ms until the picture that it caused was complete."""
        while self.read(0.0):
            pass
        begun = time.perf_counter()
        os.write(self.fd, key)
        last = begun
        if not self.read(2.0):
            raise SystemExit("A key was not answered within two seconds.")
        last = time.perf_counter()
        while self.read(quiet_s):
            last = time.perf_counter()
        return 1000 * (last - begun)

    def close(self) -> None:
        """End the program."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.waitpid(self.pid, 0)
        os.close(self.fd)


@contextlib.contextmanager
def screen(argv: list[str], environ: dict[str, str]) -> Iterator[Screen]:
    """Run a program on a pty until the block ends."""
    made = Screen(argv, environ)
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def engine(argv: list[str], environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run an engine until the block ends; it has said that it is ready."""
    process = subprocess.Popen(
        argv, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith(b"ready"):
            raise SystemExit(f"The engine did not start: {line!r}")
        yield process
    finally:
        process.terminate()
        process.wait()


def first_paint(folder: Path, *, entries: int, candidates: int, rounds: int) -> list[Row]:
    """Measure from exec to the first candidate on the screen, on a large ledger."""
    environ = {
        **os.environ,
        "TERM": "xterm-256color",
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_RUNTIME_DIR": str(folder),
    }
    for name in ("SSH_CONNECTION", "NO_COLOR", "LINES", "COLUMNS"):
        environ.pop(name, None)
    argv = [sys.executable, str(SERVERS), "real", str(folder), str(entries), str(candidates)]
    took, floor = [], []
    with engine(argv, environ):
        command = [sys.executable, "-m", "ouroboros", "--repo", str(folder / "target"), "tui"]
        for _ in range(rounds):
            with screen(command, environ) as one:
                took.append(1000 * one.until(f"c{candidates}".encode()))
            with screen([sys.executable, "-c", LINE], environ) as one:
                floor.append(1000 * one.until(b"the first line"))
    return [
        table.median(
            f"exec to first candidate, {entries:,} entries",
            "ms",
            took,
            target=800.0,
            floor=statistics.median(floor),
        ),
        table.median("floor: exec to first line of a textual application", "ms", floor),
    ]


def life(folder: Path, *, quick: bool) -> list[Row]:
    """Measure processor, bytes, keys and memory."""
    socket = folder / "fan" / "e.sock"
    base = {**os.environ, "TERM": "xterm-256color", "XDG_CONFIG_HOME": str(folder)}
    for name in ("SSH_CONNECTION", "NO_COLOR", "LINES", "COLUMNS"):
        base.pop(name, None)
    argv = [sys.executable, str(SERVERS), "talking", str(socket)]
    rows: list[Row] = []
    seconds = 5.0 if quick else 20.0
    cockpit = [sys.executable, "-m", "ouroboros", "--socket", str(socket), "tui"]
    with engine(argv, base) as talker:
        for where, extra in (("local", {}), ("SSH", {"SSH_CONNECTION": "::1 1 ::1 2"})):
            with screen(cockpit, base | extra) as one:
                one.until(b"c20")
                one.watch(2.0)
                cpu, size = one.watch(seconds)
                rows.append(Row(f"idle, {where}: processor", "%", cpu, 1.0))
                rows.append(Row(f"idle, {where}: to the terminal", "KiB/s", size / 1024, None))
                tell(talker, "pace 50")
                one.watch(2.0)
                cpu, busy = one.watch(seconds)
                tell(talker, "pace 0")
                rows.append(Row(f"50 events/s, {where}: processor", "%", cpu, 15.0))
                target = 10.0 if extra else None
                rows.append(
                    Row(f"50 events/s, {where}: to the terminal", "KiB/s", busy / 1024, target)
                )
        with screen(cockpit, base) as one:
            one.until(b"c20")
            tell(talker, "pace 50")
            one.watch(2.0)
            keys = [b"j"] * 8 + [b"k"] * 8
            count = 48 if quick else 160
            late = sorted(one.key(keys[n % len(keys)]) for n in range(count))
            tell(talker, "pace 0")
            rows.append(Row("key to complete picture, median", "ms", late[len(late) // 2]))
            rows.append(
                Row("key to complete picture, p99", "ms", late[int(len(late) * 0.99)], 50.0)
            )
            few, many = (5_000, 30_000) if quick else (20_000, 180_000)
            found = []
            for events in (few, many - few):
                tell(talker, f"flood {events}")
                done(one, talker)
                found.append(one.process.memory_info().rss / (1 << 20))
            rows.append(Row(f"memory after {few:,} events", "MiB", found[0]))
            limit = round(found[0] * 1.05 + 2, 1)
            rows.append(Row(f"memory after {many:,} events", "MiB", found[1], limit))
    return rows


def tell(process: subprocess.Popen[bytes], command: str) -> None:
    """Tell the talking engine what to do."""
    assert process.stdin is not None
    process.stdin.write(command.encode() + b"\n")
    process.stdin.flush()


def done(one: Screen, talker: subprocess.Popen[bytes]) -> None:
    """Read the screen until the engine has said all that it was told to say."""
    assert talker.stdout is not None
    while not select.select([talker.stdout], [], [], 0)[0]:
        one.read(0.2)
    talker.stdout.readline()
    one.watch(2.0)


def main() -> int:
    """Measure; return the exit code."""
    options = table.arguments(__doc__ or "")
    with tempfile.TemporaryDirectory(prefix="ob-") as place:
        entries, candidates = (50_000, 2_000) if options.quick else (1_000_000, 10_000)
        rounds = 3 if options.quick else 7
        rows = first_paint(Path(place), entries=entries, candidates=candidates, rounds=rounds)
        rows += life(Path(place), quick=options.quick)
    return table.report(rows, floor="textual", as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
