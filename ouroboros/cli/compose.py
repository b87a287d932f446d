"""The composition root: where rooms become an engine, and an engine becomes a process.

Nothing else builds the engine from parts. Signals: the first SIGTERM, SIGINT or SIGHUP drains
(running evaluations get `[engine] shutdown_grace`, then they are requeued), the second kills at
once. In neither case does a child survive: the sandbox launcher dies with us.
"""

import asyncio
import logging
import os
import secrets
import shlex
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

from ouroboros import __version__, plugins
from ouroboros.cli.doors import doors_of
from ouroboros.cli.guards import check_packages
from ouroboros.cli.logs import start_logging
from ouroboros.cli.reach import is_answering
from ouroboros.config import FILE_NAME, Config, Loaded, load
from ouroboros.engine.alive import notify
from ouroboros.engine.core import Deps
from ouroboros.engine.daemon import Engine
from ouroboros.engine.journal import Journals
from ouroboros.engine.lock import EngineLock
from ouroboros.engine.tasks import spawn
from ouroboros.errors import (
    EngineRunningError,
    LedgerCorruptError,
    LedgerDamagedError,
    MachineError,
    OuroborosError,
)
from ouroboros.executors.local import LocalExecutor, find_python, machine
from ouroboros.ledger.evidence import Evidence
from ouroboros.ledger.store import Store
from ouroboros.paths import Paths, make_private, paths_for
from ouroboros.proposers import Proposer, registry
from ouroboros.sandbox import Sandbox
from ouroboros.vcs.repository import Repository
from rpc.server import Server
from rpc.wire import PROTOCOL

_log = logging.getLogger("ouroboros")

SECOND_SIGNAL_EXIT = 130


@asynccontextmanager
async def engine_of(
    paths: Paths, *, proposers: Mapping[str, Proposer] | None = None
) -> AsyncIterator[Engine]:
    """Build, start and finally close the engine of one target.

    `proposers` replaces the registered ones, for those who embed the engine.

    Raises:
        OuroborosError: whatever keeps this engine from working on this target; nothing is left
            half-done.
    """
    check_packages()
    loaded = load(paths.root / FILE_NAME)
    repository = Repository.open(paths.root)
    branch = loaded.config.target.branch or repository.current_branch()
    repository.head(branch)
    async with AsyncExitStack() as stack:
        make_private(paths.state)
        _take_lock(paths, stack)
        sandbox = await Sandbox.open(loaded.config.sandbox)
        stack.push_async_callback(sandbox.close)
        for folder in (paths.evidence, paths.cache):
            make_private(folder)
        with _damage_named(paths):
            store = stack.enter_context(Store.open(paths.ledger))
        deps = _deps(paths, loaded, repository, store, sandbox)
        if proposers is not None:
            deps = replace(deps, proposers=proposers)
        engine = Engine(deps, loaded)
        stack.push_async_callback(engine.close)
        with _damage_named(paths):
            await engine.start(branch)
        yield engine


def _take_lock(paths: Paths, stack: AsyncExitStack) -> None:
    lock = EngineLock(paths.lock)
    stack.callback(lock.release)
    if is_answering(paths.socket):
        raise EngineRunningError(
            f"An engine answers on {paths.socket}, although its lock is free: locks may not work "
            "on this file system, or its lock file was removed.",
            hint="Attach with 'ouroboros tui', or stop it first.",
        )
    other = lock.elsewhere()
    if other:
        _log.warning(
            "the lock was last held by %s and not given back; if that engine still runs, stop one: "
            "locks may not work on this file system",
            other,
        )


@contextmanager
def _damage_named(paths: Paths) -> Iterator[None]:
    """Refuse to work on a damaged ledger, and name the exact command that deals with it."""
    try:
        yield
    except LedgerCorruptError as error:
        raise LedgerDamagedError(
            f"{error.message} The engine does not start on a damaged ledger.",
            hint=f"Run 'ouroboros --repo {shlex.quote(str(paths.root))} ledger salvage': it says "
            "what can be saved, and does nothing unasked. See docs/ledger-care.md.",
        ) from error


def _deps(
    paths: Paths, loaded: Loaded, repository: Repository, store: Store, sandbox: Sandbox
) -> Deps:
    evidence = Evidence(paths.evidence)
    trees = Repository.open(paths.root)  # its own: exports do not wait for the engine's git thread
    journals = Journals(paths.journal, machine=machine(), sandbox=sandbox.level)
    executor = LocalExecutor(
        sandbox=sandbox,
        export=trees.export,
        put_evidence=evidence.put,
        cache=paths.cache / "trees",
        clock_ns=time.time_ns,
        journal=journals.take,
    )
    return Deps(
        target=paths.target,
        root=paths.root,
        cache=paths.cache,
        ledger=paths.ledger,
        store=store,
        evidence=evidence,
        repository=repository,
        executor=executor,
        proposers=_proposers(loaded.config),
        sinks=[plugins.load(plugins.ALERTS, name)() for name in plugins.names(plugins.ALERTS)],
        sandbox=sandbox.level,
        load_config=lambda: load(paths.root / FILE_NAME),
        find_python=lambda config: find_python(paths.root, config.environment),
        clock_ns=time.time_ns,
        new_id=lambda: uuid.uuid4().hex,
        seed=lambda: secrets.randbits(63),
        pid=os.getpid(),
        engine_version=__version__,
        protocol=PROTOCOL,
        journals=journals,
        swept=(*sandbox.swept, *_swept_evidence(evidence)),
    )


def _swept_evidence(evidence: Evidence) -> tuple[str, ...]:
    count = evidence.sweep()
    return (f"removed {count} half-written evidence files",) if count else ()


def _proposers(config: Config) -> dict[str, Proposer]:
    """Load every registered proposer that is not switched off."""
    off = set() if config.proposers.codemod.enabled else {"codemod"}
    return {name: registry.load(name)() for name in registry.names() if name not in off}


async def serve(paths: Paths, *, on_ready: Callable[[Path], None]) -> int:
    """Run engine and server until a signal or a shutdown call; returns the exit code."""
    async with engine_of(paths) as engine:
        server = await Server.start(
            engine, socket=paths.socket, doors=doors_of(engine.config.config.rpc, paths.cookie)
        )
        engine.clients = lambda: server.clients
        _on_signals(engine)
        try:
            on_ready(paths.socket)
            notify("READY=1")
            await engine.run()
        finally:
            notify("STOPPING=1")
            _log.info("draining")
            await server.close()
    return 0


def _on_signals(engine: Engine) -> None:
    """First signal: drain. Second: kill; what was in flight is requeued at the next start."""
    loop = asyncio.get_running_loop()
    seen = 0

    def asked(which: signal.Signals) -> None:
        nonlocal seen
        seen += 1
        if seen > 1:
            print("second signal: killed", file=sys.stderr)  # noqa: T201 - the last words
            os._exit(SECOND_SIGNAL_EXIT)
        spawn(engine.shutdown(actor="engine", reason=which.name), "shutdown")

    for which in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if which is signal.SIGHUP and signal.getsignal(which) is signal.SIG_IGN:
            continue  # started by nohup: the terminal may vanish
        loop.add_signal_handler(which, asked, which)


def run_engine(root: Path, *, headless: bool) -> int:
    """Run the engine of the repository at `root` in this process until it is asked to stop.

    `headless` says in one line on stdout when it is ready, and logs to stderr.

    Raises:
        OuroborosError: it could not be started.
    """
    start_logging(sys.stderr)

    def ready(socket: Path) -> None:
        if headless:
            try:
                print(f"ready: {root} on {socket}", flush=True)  # noqa: T201 - the one line of serve
            except BrokenPipeError:
                _log.warning("nobody reads the standard output; ready on %s", socket)

    try:
        return asyncio.run(serve(paths_for(root, os.environ), on_ready=ready))
    except OuroborosError:
        raise
    except OSError as error:
        raise _start_fault(error) from error


def _start_fault(error: OSError) -> OuroborosError:
    return MachineError(
        f"The engine could not be started: {error}.",
        hint="Check free space and permissions of the state folder ('ouroboros doctor').",
    )
