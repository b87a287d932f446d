"""What a call costs, and what an event to a hundred listeners costs, beside others.

    .venv/bin/python scripts/bench/rpc.py [--quick] [--json]

**Calls.** `engine.status` of a real engine (started here, on a repository of one file), by
WebSocket and by POST over its unix socket, in a closed loop of one connection. Beside it, in turns
and with an answer of the same size: the same web server that echoes over a WebSocket (the floor of
any answer), jsonrpcserver as its own documentation uses it behind aiohttp, pjrpc and openrpc behind
aiohttp. Processor time is that of the serving process, per call; requests a second are what the
client saw, with one call in flight and with 16 (a WebSocket takes them side by side, a POST
needs a connection each); the client of the latter does nothing but count answers, so that the
server is what is measured. Others' packages come from PyPI into a folder of their own in the cache.

**Fan-out.** A real service with an engine in memory sends one event to 100 WebSockets: as fast as
it goes, and paced at 50 a second, where the time from the engine's hand to the listener's is taken.
Resident memory after 100,000 events and after a million (`--quick`: 20,000 and 100,000).

Exit code 1 where a target is missed.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import table
from table import Row

ROOT = Path(__file__).resolve().parents[2]
SERVERS = Path(__file__).with_name("rpc_servers.py")
RIVALS = ("jsonrpcserver==5.0.9", "pjrpc==2.2.0", "openrpc==11.1.1", "aiohttp", "msgspec")
SUBSCRIBERS = 100
PACE = 50

TOML = """
[tests]
framework = "command"
command = ["{python}", "-c", "pass"]

[proposers.codemod]
enabled = false
"""


def rivals_python() -> Path:
    """Return an interpreter that has the rivals; made once."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = cache / "ouroboros-bench" / "rpc"
    python, stamp = place / "bin" / "python", place / ".installed"
    if not stamp.exists() or stamp.read_text() != repr(RIVALS):
        print("installing the rivals (once) ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, *RIVALS], check=True)
        stamp.write_text(repr(RIVALS))
    return python


@contextmanager
def started(command: list[str], socket: Path, **env: str) -> Any:
    """Run a server until the block ends; returns its process once it listens."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **env},
    )
    try:
        deadline = time.monotonic() + 60
        while not socket.is_socket():
            assert process.poll() is None, f"{command} ended"
            assert time.monotonic() < deadline, f"{command} does not listen"
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        process.wait()


def target(folder: Path) -> Path:
    """Make a repository for the engine."""
    root = folder / "target"
    root.mkdir()
    (root / "ouroboros.toml").write_text(TOML)
    (root / "mod.py").write_text("x = 1\n")
    git = ["git", "-C", str(root), "-c", "user.name=b", "-c", "user.email=b@localhost"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "begin"]):
        subprocess.run([*git, *arguments], check=True)
    return root


# --- calls --------------------------------------------------------------------------------------

REQUEST = b'{"jsonrpc":"2.0","id":1,"method":"engine.status","params":{}}'
HEADERS = {"Content-Type": "application/json"}


IN_FLIGHT = 16
POST = (
    b"POST /rpc HTTP/1.1\r\nHost: engine\r\nContent-Type: application/json\r\n"
    + b"Content-Length: %d\r\n\r\n" % len(REQUEST)
    + REQUEST
)
UPGRADE = (
    b"GET /rpc HTTP/1.1\r\nHost: engine\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)


def framed(payload: bytes) -> bytes:
    """Return a short text as a client's WebSocket message (masked with zeros: unchanged)."""
    assert len(payload) < 126
    return bytes((0x81, 0x80 | len(payload))) + bytes(4) + payload


class Caller(asyncio.Protocol):
    """Keeps some calls in flight on one connection, and counts answers."""

    MARK = b'"jsonrpc"'

    def __init__(self, request: bytes, in_flight: int, *, websocket: bool) -> None:
        self._request, self._in_flight, self._websocket = request, in_flight, websocket
        self.ready = asyncio.Event()
        self.count = 0
        self.wrong = b""
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport: Any = transport
        self.transport.write(UPGRADE if self._websocket else self._request * self._in_flight)

    def data_received(self, data: bytes) -> None:
        """Ask again for each answer; a mark may be split between two reads."""
        if not self.ready.is_set():
            self.ready.set()
            if not data.startswith((b"HTTP/1.1 101", b"HTTP/1.1 200")):
                self.wrong = data[:300]
            if self._websocket:
                self.transport.write(self._request * self._in_flight)
                return
        data = self._rest + data
        answers = data.count(self.MARK)
        self._rest = b"" if self.MARK in data[-len(self.MARK) :] else data[1 - len(self.MARK) :]
        if b'"error"' in data:
            self.wrong = data[:300]
        self.count += answers
        if answers:
            self.transport.write(self._request * answers)


class Course:
    """One server, its client, and what was measured."""

    def __init__(self, name: str, process: Any, socket: Path, *, websocket: bool) -> None:
        self.name = name
        self.server = psutil.Process(process.pid)
        self.socket = socket
        self.websocket = websocket
        self.rates: list[float] = []
        self.cpu_us: list[float] = []
        self.crowd_rates: list[float] = []
        self.bytes = 0

    async def round(self, seconds: float) -> None:
        """Call in a closed loop for a while."""
        connector = aiohttp.UnixConnector(path=str(self.socket))
        async with aiohttp.ClientSession(connector=connector) as http:
            if not self.websocket:
                await self._measure(lambda: self._post(http), seconds)
                return
            socket = await http.ws_connect("http://engine/rpc", compress=0)
            await self._measure(lambda: self._message(socket), seconds)
            await socket.close()

    async def _post(self, http: aiohttp.ClientSession) -> bytes:
        async with http.post("http://engine/rpc", data=REQUEST, headers=HEADERS) as answer:
            assert answer.status == 200
            return await answer.read()

    async def _message(self, socket: aiohttp.ClientWebSocketResponse) -> bytes:
        await socket.send_str(REQUEST.decode())
        return (await socket.receive_str()).encode()

    async def crowd(self, seconds: float) -> None:
        """Keep `IN_FLIGHT` calls in flight for a while."""
        loop = asyncio.get_running_loop()
        connections = 1 if self.websocket else IN_FLIGHT
        request = framed(REQUEST) if self.websocket else POST
        callers: list[Caller] = []
        for _ in range(connections):
            _, made = await loop.create_unix_connection(
                lambda: Caller(request, IN_FLIGHT // connections, websocket=self.websocket),
                str(self.socket),
            )
            callers.append(made)
        await asyncio.gather(*(made.ready.wait() for made in callers))
        await asyncio.sleep(seconds / 4)
        before, begun = sum(made.count for made in callers), time.perf_counter()
        await asyncio.sleep(seconds)
        count = sum(made.count for made in callers) - before
        self.crowd_rates.append(count / (time.perf_counter() - begun))
        for made in callers:
            made.transport.abort()
            assert not made.wrong, made.wrong

    async def _measure(self, call: Any, seconds: float) -> None:
        for _ in range(20):
            body = await call()
        assert b'"result"' in body or self.name.startswith("floor"), body[:300]
        self.bytes = len(body)
        before, begun, count = sum(self.server.cpu_times()[:2]), time.perf_counter(), 0
        while (spent := time.perf_counter() - begun) < seconds:
            await call()
            count += 1
        cpu = sum(self.server.cpu_times()[:2]) - before
        self.rates.append(count / spent)
        self.cpu_us.append(1e6 * cpu / count)


def calls(folder: Path, *, rounds: int, seconds: float) -> list[Row]:
    """Measure calls beside the rivals; returns the rows."""
    state = {"XDG_STATE_HOME": str(folder / "state"), "XDG_RUNTIME_DIR": str(folder)}
    sys.path.insert(0, str(ROOT))
    from ouroboros.paths import paths_for

    root = target(folder)
    ours = paths_for(root, {**os.environ, **state}).socket
    rival = rivals_python()
    engine = [sys.executable, "-m", "ouroboros", "--repo", str(root), "serve"]
    kinds = ("echo", "jsonrpcserver", "pjrpc", "openrpc")
    with started(engine, ours, **state) as process:
        asyncio.run(_answer(ours, folder / "answer.json"))
        running = []
        with _several(kinds, folder, rival) as others:
            running = [
                Course("ours, WebSocket", process, ours, websocket=True),
                Course("ours, POST", process, ours, websocket=False),
                Course("floor: echo, WebSocket", *others["echo"], websocket=True),
                Course("jsonrpcserver, POST", *others["jsonrpcserver"], websocket=False),
                Course("pjrpc, POST", *others["pjrpc"], websocket=False),
                Course("openrpc, POST", *others["openrpc"], websocket=False),
            ]
            for _ in range(rounds):
                for course in running:
                    asyncio.run(course.round(seconds))
                    asyncio.run(course.crowd(seconds))
    return _rows({course.name: course for course in running})


async def _answer(socket: Path, file: Path) -> None:
    """Keep one real answer, so that all others send the same."""
    course = aiohttp.UnixConnector(path=str(socket))
    async with (
        aiohttp.ClientSession(connector=course) as http,
        http.post("http://engine/rpc", data=REQUEST, headers=HEADERS) as answer,
    ):
        file.write_text(json.dumps(json.loads(await answer.read())["result"]))  # noqa: ASYNC240


@contextmanager
def _several(kinds: tuple[str, ...], folder: Path, python: Path) -> Any:
    from contextlib import ExitStack

    with ExitStack() as stack:
        found = {}
        for kind in kinds:
            socket = folder / f"{kind}.sock"
            command = [str(python), str(SERVERS), kind, str(socket), str(folder / "answer.json")]
            found[kind] = (stack.enter_context(started(command, socket)), socket)
        yield found


def _rows(found: dict[str, Course]) -> list[Row]:
    ws, floor = found["ours, WebSocket"], found["floor: echo, WebSocket"]
    rival = found["jsonrpcserver, POST"]
    echo_us = statistics.median(floor.cpu_us)
    slow = statistics.median(rival.crowd_rates)
    fast = statistics.median(ws.crowd_rates)
    alone = statistics.median(rival.rates) / statistics.median(ws.rates)
    rows = [
        table.median(
            f"{name}: processor time a call",
            "us",
            course.cpu_us,
            target=round(2 * echo_us, 1) if course is ws else None,
            floor=echo_us,
        )
        for name, course in found.items()
    ]
    rows += [table.median(f"{name}: calls a second", "1/s", c.rates) for name, c in found.items()]
    rows += [
        table.median(f"{name}: calls a second, {IN_FLIGHT} in flight", "1/s", c.crowd_rates)
        for name, c in found.items()
    ]
    share = "jsonrpcserver's share of our calls a second"
    rows.append(Row(f"{share}, one in flight", "", alone))
    rows.append(Row(f"{share}, {IN_FLIGHT} in flight (a fifth or less)", "", slow / fast, 0.2))
    rows.append(Row("answer", "B", float(ws.bytes)))
    return rows


# --- fan-out ------------------------------------------------------------------------------------


@asynccontextmanager
async def listeners(socket: Path, count: int) -> AsyncIterator[list[Any]]:
    """Open that many subscribed WebSockets."""
    connector = aiohttp.UnixConnector(path=str(socket), limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        opened = []
        ask = {"jsonrpc": "2.0", "id": 1, "method": "events.subscribe", "params": {}}
        for _ in range(count):
            made = await http.ws_connect("http://engine/rpc", compress=0, max_msg_size=1 << 24)
            await made.send_json(ask)
            assert "result" in await made.receive_json()
            opened.append(made)
        yield opened


class Counter(asyncio.Protocol):
    """A listener that counts messages and does nothing else: the client must not be the wall."""

    MARK = b'"method":"event"'
    PONG = bytes((0x8A, 0x80)) + bytes(4)
    ALIVE_S = 5.0
    ASK = b'{"jsonrpc":"2.0","id":1,"method":"events.subscribe","params":{}}'

    def __init__(self) -> None:
        self.count = 0
        self.wanted = 0
        self.ready = asyncio.Event()
        self.done = asyncio.Event()
        self._rest = b""
        self._told = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Shake hands, and subscribe (masked with zeros, which changes nothing)."""
        self.transport: Any = transport
        self.transport.write(UPGRADE + framed(self.ASK))

    def data_received(self, data: bytes) -> None:
        """Count, also what is split between two reads."""
        data = self._rest + data
        if b'"subscription":"s1","seq"' in data:
            self.ready.set()
        self.count += data.count(self.MARK)
        tail = data[-len(self.MARK) + 1 :]
        self._rest = b"" if self.MARK in data[-len(self.MARK) :] else tail
        if self.wanted and self.count >= self.wanted:
            self.done.set()
        if time.monotonic() - self._told > self.ALIVE_S:  # who says nothing for long is cut off
            self._told = time.monotonic()
            self.transport.write(self.PONG)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Wake who waits: it is cut off, and sees by the count that something is missing."""
        self.done.set()


async def flood(process: Any, socket: Path, events: int, count: int = SUBSCRIBERS) -> float:
    """Send events as fast as they go; returns events a second, received by all."""
    loop = asyncio.get_running_loop()
    counters: list[Counter] = []
    for _ in range(count):
        _, made = await loop.create_unix_connection(Counter, str(socket))
        await made.ready.wait()
        made.count, made.wanted = 0, events
        counters.append(made)
    begun = time.perf_counter()
    process.stdin.write(f"flood {events}\n".encode())
    process.stdin.flush()
    await asyncio.gather(*(made.done.wait() for made in counters))
    rate = events / (time.perf_counter() - begun)
    missing = [made.wanted - made.count for made in counters if made.count < made.wanted]
    if missing:
        raise SystemExit(f"{len(missing)} listeners were cut off; events they miss: {missing[:5]}.")
    for made in counters:
        made.transport.abort()
    return rate


async def paced(process: Any, socket: Path, events: int) -> list[float]:
    """Send 50 events a second; returns each delay in ms."""
    delays: list[float] = []
    async with listeners(socket, SUBSCRIBERS) as opened:
        process.stdin.write(f"paced {events} {PACE}\n".encode())
        process.stdin.flush()

        async def read(one: Any) -> None:
            for _ in range(events):
                data = (await one.receive()).data
                now = time.monotonic_ns()
                sent = int(data.rsplit('"reason":"', 1)[1].split('"', 1)[0])
                delays.append((now - sent) / 1e6)

        await asyncio.gather(*(read(one) for one in opened))
    return delays


async def memory(process: Any, socket: Path, few: int, many: int) -> tuple[float, float]:
    """Return resident MiB after few and after many events to ten listeners."""
    found = []
    server = psutil.Process(process.pid)
    for events in (few, many - few):
        await flood(process, socket, events, 10)
        found.append(server.memory_info().rss / (1 << 20))
    return found[0], found[1]


def fan_out(folder: Path, *, quick: bool) -> list[Row]:
    """Measure events; returns the rows."""
    socket = folder / "fan" / "e.sock"
    command = [sys.executable, str(SERVERS), "ours", str(socket), ""]
    with started(command, socket) as process:
        rates = [asyncio.run(flood(process, socket, 300 if quick else 1500)) for _ in range(5)]
        delays = asyncio.run(paced(process, socket, 100 if quick else 500))
        few, many = (20_000, 100_000) if quick else (100_000, 1_000_000)
        before, after = asyncio.run(memory(process, socket, few, many))
    per_event = [1e6 / rate for rate in rates]
    late = statistics.quantiles(delays, n=100)
    return [
        table.median(
            f"event to {SUBSCRIBERS} listeners, flood", "us", per_event, target=1e6 / 1500
        ),
        Row(f"events a second to all {SUBSCRIBERS}", "1/s", statistics.median(rates)),
        Row(f"delay at {PACE} a second, median", "ms", late[49]),
        Row(f"delay at {PACE} a second, p99", "ms", late[98], 10.0),
        Row(f"memory after {few:,} events", "MiB", before),
        Row(f"memory after {many:,} events", "MiB", after, round(before * 1.05 + 1, 1)),
    ]


def main() -> int:
    """Measure; return the exit code."""
    options = table.arguments(__doc__ or "")
    with tempfile.TemporaryDirectory(prefix="oro-bench-") as place:
        rounds, seconds = (5, 0.3) if options.quick else (15, 0.5)
        rows = calls(Path(place), rounds=rounds, seconds=seconds)
        rows += fan_out(Path(place), quick=options.quick)
    return table.report(rows, floor="echo", as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
