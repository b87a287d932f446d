"""The demonstration: an engine improves a target repository while you watch.

It works in `.demo/` below the project (`--folder` chooses another place) and touches nothing else:
the target repository, its own virtual environment, and the engine's state all live there. No LLM,
no key; the network is used only to install pytest (and, with `--package`, to fetch the package).

What counts as success is decided here from what the engine says over JSON-RPC, never by waiting
for a fixed time: the exit code is 0 only if improvements were promoted, something was rejected for
a stated reason, a rollback was done, and the ledger verifies.
"""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ouroboros.client import Client, wire
from ouroboros.errors import EngineUnreachableError, OuroborosError
from ouroboros.governor.decide import numbers
from ouroboros.model.entry import Stored
from ouroboros.model.events import AlertRaised
from ouroboros.model.phase import IN_FLIGHT, Phase
from ouroboros.model.snapshot import Activity
from ouroboros.model.state import Candidate, confirmed_change
from ouroboros.model.text import safe_line
from ouroboros.paths import Paths, find_root, paths_for

READY_S = 30.0
BUDGET_S = 210.0
"""Time for the engine's own search; what comes after (rollback, verification) takes seconds."""

TOPICS = ("candidate.*", "cycle.finished", "alert.fired")

BAD_TITLE = "sort in place instead of copying the list"


@dataclass
class Options:
    """What the command line asked for."""

    root: Path
    folder: Path
    headless: bool
    package: str
    bench: Path | None
    extra: tuple[str, ...]
    budget_s: float
    improvements: int


@dataclass
class Demo:
    """One run: where it lives, and what happened."""

    options: Options
    target: Path
    env: dict[str, str]
    started: float = field(default_factory=time.monotonic)
    first_verdict_s: float = 0.0

    def say(self, text: str) -> None:
        """Print one progress line with the time since the start."""
        print(f"[{time.monotonic() - self.started:6.1f} s] {text}", flush=True)

    @property
    def paths(self) -> Paths:
        """Where the engine of this target keeps its state."""
        return paths_for(find_root(self.target), self.env)


def main() -> int:
    """Run the demonstration; returns the exit code."""
    options = _options()
    try:
        demo = _prepare(options)
        with _engine(demo):
            if not options.headless and sys.stdin.isatty() and sys.stdout.isatty():
                return _with_screen(demo)
            return asyncio.run(_drive(demo))
    except (OuroborosError, subprocess.CalledProcessError, OSError) as error:
        print(f"error: {_words(error)}", file=sys.stderr)
        return error.exit_code if isinstance(error, OuroborosError) else 1
    except KeyboardInterrupt:
        return 130


def _options() -> Options:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__.split("\n\n")[0])
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--headless", action="store_true", help="no screen even in a terminal")
    parser.add_argument("--folder", type=Path, help="where to work (default: .demo)")
    parser.add_argument("--package", default="", metavar="NAME==VERSION", help="a package of PyPI")
    parser.add_argument("--bench", type=Path, help="with --package: the benchmark script")
    parser.add_argument(
        "--with",
        dest="extra",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="with --package: more that its tests need (repeatable)",
    )
    parser.add_argument("--budget", type=float, default=BUDGET_S, help="seconds of search")
    parser.add_argument(
        "--improvements", type=int, default=2, help="how many promotions count as success"
    )
    given = parser.parse_args()
    if bool(given.package) != bool(given.bench):
        parser.error("--package and --bench go together")
    if given.bench and not given.bench.is_file():
        parser.error(f"there is no file {given.bench}")
    return Options(
        root=given.root.resolve(),
        folder=(given.folder or given.root / ".demo").resolve(),
        headless=given.headless,
        package=given.package,
        bench=given.bench.resolve() if given.bench else None,
        extra=tuple(given.extra),
        budget_s=given.budget,
        improvements=0 if given.package else given.improvements,
    )


def _words(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        tail = (error.stderr or b"").decode(errors="replace").strip().splitlines()[-5:]
        return f"'{' '.join(map(str, error.cmd[:4]))} ...' failed: {' '.join(tail)}"
    return str(error)


# --- the target ---------------------------------------------------------------------------------


def _prepare(options: Options) -> Demo:
    """Build the target repository and its own environment from scratch."""
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "state", ignore_errors=True)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "PYTHON"))}
    env |= {"XDG_STATE_HOME": str(folder / "state"), "PATH": os.environ.get("PATH", "")}
    env.pop("XDG_RUNTIME_DIR", None)
    demo = Demo(options=options, target=folder / "target", env=env)
    shutil.rmtree(demo.target, ignore_errors=True)
    if options.package:
        _real_package(demo)
    else:
        demo.say("building the example target and its own environment")
        shutil.copytree(_example(options.root), demo.target)
        _configure(demo, _target_python(demo, ["pytest>=8"]))
    _git(demo, "init", "-q", "-b", "main")
    _git(demo, "add", "-A")
    _git(demo, "commit", "-q", "-m", "The target as it was found")
    return demo


def _example(root: Path) -> Path:
    return root / "examples" / "hitlog"


def _git(demo: Demo, *arguments: str) -> str:
    command = [
        "git", "-C", str(demo.target), "-c", "user.name=Demo", "-c", "user.email=demo@localhost",
        "-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false", *arguments,
    ]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, env=demo.env)
    return done.stdout.decode()


def _target_python(demo: Demo, packages: list[str]) -> Path:
    """Make (or reuse) the target's own environment; its contents are named by a stamp."""
    place = demo.options.folder / "environment"
    python = place / "bin" / "python"
    stamp = place / ".installed"
    if not (stamp.exists() and stamp.read_text() == repr(packages)):
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True, capture_output=True)
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, *packages], check=True, capture_output=True, env=demo.env)
        stamp.write_text(repr(packages))
    return python


def _configure(demo: Demo, python: Path) -> None:
    """Point the example's configuration at its environment, and let the engine act by itself."""
    file = demo.target / "ouroboros.toml"
    text = file.read_text()
    if "[environment]" not in text:
        text += "\n[environment]\n"
    text = text.replace("[environment]", f'[environment]\npython = "{python}"', 1)
    text = text.replace("[engine]", '[engine]\nwatch_after = "2s"', 1)
    file.write_text(text)


def _real_package(demo: Demo) -> None:
    """Fetch a package's source distribution, make a repository of it, and configure it."""
    options = demo.options
    name = options.package.split("==")[0]
    demo.say(f"fetching the source distribution of {options.package} from PyPI")
    downloads = options.folder / "downloads"
    shutil.rmtree(downloads, ignore_errors=True)
    python = _target_python(demo, ["pytest>=8", options.package, *options.extra])
    pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", str(downloads),
         options.package],
        check=True, capture_output=True, env=demo.env,
    )  # fmt: skip
    # Its dependencies stay; the installed copy goes, or the evaluation could run that one.
    subprocess.run([*pip, "uninstall", "-q", "-y", name], check=True, capture_output=True)
    archive = next(iter(sorted(downloads.glob("*.tar.gz"))), None)
    if archive is None:
        raise OSError(f"{options.package} has no .tar.gz source distribution on PyPI")
    unpacked = options.folder / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    with tarfile.open(archive) as tar:
        tar.extractall(unpacked, filter="data")
    shutil.move(next(p for p in unpacked.iterdir() if p.is_dir()), demo.target)
    (demo.target / "bench").mkdir(exist_ok=True)
    assert options.bench is not None
    shutil.copy(options.bench, demo.target / "bench" / "bench_demo.py")
    (demo.target / "ouroboros.toml").write_text(_package_config(demo.target, python))


def _package_config(target: Path, python: Path) -> str:
    source = "src" if (target / "src").is_dir() else "."
    return f"""\
[environment]
python = "{python}"
path = ["{source}"]

[tests]
framework = "pytest"
command = ["-q", "-p", "no:cacheprovider"]
timeout = "120s"

[benchmarks.demo]
command = ["{{python}}", "bench/bench_demo.py"]
timeout = "30s"

[governor]
mode = "autonomous"

[engine]
drain_ideas = true
watch_after = "1s"
"""


# --- the engine ---------------------------------------------------------------------------------


@contextmanager
def _engine(demo: Demo) -> Iterator[None]:
    """Start `ouroboros serve` as a child; end it in order."""
    command = Path(sys.executable).with_name("ouroboros")
    log = demo.options.folder / "engine.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [str(command), "--repo", str(demo.target), "serve"],
            stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=demo.env,
            start_new_session=True,
        )  # fmt: skip
        try:
            _wait_ready(demo, process, log)
            yield
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_ready(demo: Demo, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while b"ready:" not in log.read_bytes():
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(errors="replace").strip()[-1500:]
            raise EngineUnreachableError(f"The engine did not start:\n{tail}")
        time.sleep(0.05)
    demo.say(f"engine started (log: {log})")


def _with_screen(demo: Demo) -> int:
    """Attach the screen; a driver beside it shows what a person would do, and logs to a file."""
    log = demo.options.folder / "demo.log"
    child = os.fork()
    if child == 0:
        with log.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            os._exit(asyncio.run(_drive(demo)))
    from tui.app import run

    run(demo.paths.socket)
    pid, status = os.waitpid(child, os.WNOHANG)
    if pid == 0:
        print("The demonstration had not finished when you left; what it did until then:")
        os.kill(child, 15)
        os.waitpid(child, 0)
        print(log.read_text(), end="")
        return 0
    print(log.read_text(), end="")
    return os.waitstatus_to_exitcode(status)


# --- the driver ---------------------------------------------------------------------------------


async def _drive(demo: Demo) -> int:
    client = await Client.connect(demo.paths.socket, name="demo")
    try:
        if not demo.options.package:
            await _submit_bad(demo, client)
        await _watch(demo, client)
        await client.call(
            wire.EnginePause(reason="the demonstration is over; q prints its report", mode="now")
        )
        rolled_back = await _roll_back(demo, client)
        return await _report(demo, client, rolled_back=rolled_back)
    finally:
        await client.close()


async def _submit_bad(demo: Demo, client: Client) -> None:
    """Propose a change that looks faster and is wrong, as a colleague in a hurry would."""
    diff = demo.options.root / "examples" / "bad-idea.diff"
    done = await client.call(
        wire.CandidateSubmit(
            diff=diff.read_text(), title=BAD_TITLE, rationale="saves one copy per call"
        )
    )
    demo.say(f"{done.id}: submitted over RPC: {BAD_TITLE}")


async def _watch(demo: Demo, client: Client) -> None:
    """Tell what happens until enough was seen, no idea is left, or the time is used up."""
    try:
        async with asyncio.timeout(demo.options.budget_s):
            async with client.subscribe(TOPICS, from_seq=0) as feed:
                async for item in feed:
                    if isinstance(item, Stored):
                        await _tell(demo, client, item)
                        if await _seen_enough(demo, client):
                            return
    except TimeoutError:
        demo.say("the time for searching is used up")


async def _tell(demo: Demo, client: Client, item: Stored) -> None:
    kind = item.entry.event.kind
    if isinstance(item.entry.event, AlertRaised):
        demo.say(f"alert: {safe_line(item.entry.event.text, limit=400)}")
        return
    name = getattr(item.entry.event, "candidate", "")
    if kind not in {"proposed", "held", "rejected", "errored", "promoted", "kept", "rolled_back"}:
        return
    c = await client.call(wire.CandidateGet(id=name))
    if kind in {"held", "rejected", "errored", "promoted"} and not demo.first_verdict_s:
        demo.first_verdict_s = time.monotonic() - demo.started
    demo.say(f"{name}: {kind:9} {_line(c, kind)}")


def _line(c: Candidate, kind: str) -> str:
    title = safe_line(c.title, limit=76)
    if kind == "proposed":
        return f"by {c.proposer}: {title}"
    if kind == "promoted":
        confirmed = [k for k in (c.verdict.comparisons if c.verdict else ()) if _counts(k)]
        return f"as v{c.version}, CPU {numbers(confirmed[0]) if confirmed else '?'}: {title}"
    if kind in {"rejected", "errored", "held"} and c.reasons:
        return f"{c.reasons[0].code}: {safe_line(c.reasons[0].text, limit=110)}"
    return title


def _counts(comparison: object) -> bool:
    stage, role = getattr(comparison, "stage", ""), getattr(comparison, "role", "")
    return stage == "confirm" and role == "objective"


async def _seen_enough(demo: Demo, client: Client) -> bool:
    snapshot = await client.call(wire.EngineSnapshot())
    every = snapshot.state.candidates.values()
    status = snapshot.status
    if status.activity in {Activity.HALTED, Activity.PAUSED}:
        return True
    busy = any(c.phase in IN_FLIGHT for c in every)
    # After an error nothing more is tried before the next interval; the last one tells.
    newest = max(every, key=lambda c: c.created_ns, default=None)
    stuck = newest is not None and newest.phase is Phase.ERRORED
    outcome = status.cycle.outcome if status.cycle else ""
    idle = not busy and (outcome in {"idle", "error"} or (outcome == "proposed" and stuck))
    if demo.options.package:
        return idle
    promoted = sum(c.phase in {Phase.PROMOTED, Phase.KEPT} for c in every)
    rejected = any(c.phase is Phase.REJECTED for c in every)
    return idle or (promoted >= demo.options.improvements + 1 and rejected)


async def _roll_back(demo: Demo, client: Client) -> bool:
    """Undo the newest version as an operator would: preview, then do it with what was seen."""
    versions = await client.call(wire.VersionList())
    if not any(v.active and v.candidate for v in versions):
        demo.say("nothing was promoted, so there is nothing to roll back")
        return False
    preview = await client.call(wire.VersionPreview(to="last"))
    demo.say(
        f"operator: rolling back v{preview.undoes[0]} ({', '.join(preview.candidates)}), "
        f"{len(preview.files)} file(s)"
    )
    version = await client.call(
        wire.VersionRollback(
            to="last", reason="shown by the demonstration", expect_head=preview.head
        )
    )
    demo.say(f"v{version.number} restores v{version.restores}: {version.commit[:12]}")
    return True


async def _report(demo: Demo, client: Client, *, rolled_back: bool) -> int:
    snapshot = await client.call(wire.EngineSnapshot())
    verified = await client.call(wire.LedgerVerify())
    every = list(snapshot.state.candidates.values())
    promoted = [c for c in every if c.version]
    refused = [c for c in every if c.phase is Phase.REJECTED]
    errored = [c for c in every if c.phase is Phase.ERRORED]
    print("\n--- report " + "-" * 61)
    print(f"target     {demo.options.package or 'examples/hitlog'} in {demo.target}")
    print(f"candidates {len(every)}: {len(promoted)} promoted, {len(refused)} rejected, "
          f"{len(errored)} errored")  # fmt: skip
    for c in promoted:
        change = confirmed_change(c.verdict)
        gain = f"{change:+.1%}" if change is not None else "?"
        print(f"  + v{c.version} {c.id}: {gain} CPU, {c.phase.value}: {safe_line(c.title)}")
    for c in refused:
        why = c.reasons[0] if c.reasons else None
        print(f"  - {c.id}: {why.code if why else '?'}: {safe_line(c.title)}")
    print(f"first verdict after {demo.first_verdict_s:.1f} s; "
          f"all in {time.monotonic() - demo.started:.1f} s")  # fmt: skip
    print(f"ledger     {verified.entries} entries, "
          f"{'verified' if verified.ok else 'BROKEN: ' + verified.problem}")  # fmt: skip
    print(f"history    git -C {demo.target} log --oneline main")
    print(_git(demo, "log", "--oneline", "main"), end="")
    wanted = demo.options.improvements
    good = verified.ok and len(promoted) >= wanted
    if wanted:
        good = good and bool(refused) and rolled_back
        print(f"{'OK' if good else 'NOT OK'}: wanted at least {wanted} improvements, a rejection, "
              "a rollback and a verified ledger")  # fmt: skip
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
