"""`Sandbox`: carries out one `Command` after another, contained, limited and measured.

Two things are kept apart that are easy to mix up: the sandbox failed (`Ending.FAULT`, never held
against a candidate), and the command failed. Bubblewrap reports an exit code on its status pipe
only once the sandbox stands; without that report, and without our having killed it, it was
bubblewrap that died.

Limits on memory and processes are the kernel's where control groups can be made; else address
space and process rlimits inside plus a watchdog in the launcher. `level.limits` says which.
"""

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil
from msgspec.structs import replace

from ouroboros.config import Sandbox as Limits
from ouroboros.errors import Misuse, SandboxError
from ouroboros.model.evaluation import Sample, SandboxLevel
from ouroboros.model.text import safe_text
from ouroboros.sandbox import bwrap, drop, landlock
from ouroboros.sandbox.capture import Capture
from ouroboros.sandbox.cgroups import Group, Groups
from ouroboros.sandbox.command import HARNESS, RESULT_FD, TREE, Command, Ending, Outcome
from ouroboros.sandbox.ladder import Rung, choose
from ouroboros.sandbox.link import Link, Reply, Request, Watch
from ouroboros.sandbox.meter import Meter, ProcessMeter
from ouroboros.sandbox.removal import remove
from ouroboros.sandbox.root import interpreter, write_etc
from ouroboros.sandbox.strays import end_strays
from ouroboros.sandbox.traces import Traces
from ouroboros.sandbox.watching import sizes

_SCRATCH = "ouroboros-sandbox-"
_RESULT_CAP = 32 << 20
_PIPE_PATIENCE = 2.0
_SIGNAL_BASE = 128
_OPEN_FILES = 4096
_CPU_SLACK = 2
"""Seconds of CPU time that one process has more than the run: its end is then ours to name."""
_ADDRESS_SLACK = 512 << 20
_NOT_FOUND = "bwrap: execvp "
_SHELL_NOT_FOUND = 127
_NOTHING = Sample(cpu_ns=0, wall_ns=0, rss_bytes=0)
_ENDS = {
    "timeout": Ending.TIMEOUT,
    "memory": Ending.MEMORY,
    "processes": Ending.PROCESSES,
    "output": Ending.OUTPUT,
    "cpu": Ending.CPU,
    "tree": Ending.TREE,
}


class Sandbox:
    """Runs commands. Belongs to one event loop; several runs at once are fine."""

    def __init__(
        self,
        scratch: Path,
        binary: Rung,
        groups: Groups | None,
    ) -> None:
        """Use `open` instead, which finds out what works here.

        Args:
            scratch: a private folder, removed on `close`.
            binary: a bubblewrap or Landlock that works, or None for runs without containment.
            groups: where control groups can be made, or None.
        """
        self.level = _level(binary, groups)
        self._scratch = scratch
        self._binary = binary if isinstance(binary, bwrap.Bubblewrap) else None
        self._landlock = binary if isinstance(binary, landlock.Landlock) else None
        self._groups = groups
        self._link = Link(scratch)
        self._closed = False
        self._left: list[Traces] = []
        self._drop = self._binary is not None and self._binary.step is not None
        self._readable: set[tuple[Path, ...]] = set()

    @classmethod
    async def open(cls, limits: Limits, scratch: Path | None = None) -> "Sandbox":
        """Try what this machine offers and return a sandbox that works.

        Args:
            limits: the `[sandbox]` table; only `allow_landlock` and `allow_unconfined` matter here,
                since each command brings its own limits.
            scratch: where to keep private files; None for the system's temporary folder.

        Raises:
            SandboxUnavailableError: nothing works, and runs without containment are not allowed.
        """
        folder = await asyncio.to_thread(_scratch_folder, scratch)
        try:
            binary, groups = await asyncio.to_thread(_discover, limits, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return cls(folder, binary, groups)

    async def close(self) -> None:
        """End every run; no process and no file is left. May be called twice.

        Raises:
            OSError: a file cannot be removed.
        """
        self._closed = True
        await self._link.close()
        await asyncio.to_thread(remove, str(self._scratch))

    async def run(
        self, command: Command, *, on_start: Callable[[Meter], None] | None = None
    ) -> Outcome:
        """Carry out one command. Cancellation ends the run and waits for its processes.

        Args:
            command: what to run.
            on_start: takes the CPU clock of the run, just before it is started; the clock is closed
                when the run has ended.

        Raises:
            ConfigError: the interpreter cannot be shown inside, or not be read there.
        """
        if self._closed:
            raise Misuse("Sandbox.run after close.")
        number = self._link.number()
        traces = Traces(self._link.mark(number))
        try:
            await self._remove_left()
            outcome = await self._carry_out(number, command, on_start, traces)
        except (OSError, SandboxError) as error:
            outcome = _fault(str(error))
        finally:
            left = await traces.remove()
            if left:
                self._left.append(traces)  # also a cancelled run's, which has no answer
        if left:
            return _fault(f"The run has ended, but this of it is still there: {left}.")
        if self._drop and outcome.ending is Ending.EXITED and not outcome.ok:
            await self._check_readable(command)
        return outcome

    async def _remove_left(self) -> None:
        """Try again what earlier runs left behind; nothing runs beside it."""
        for traces in list(self._left):
            if left := await traces.remove():
                raise SandboxError(f"An earlier run has ended, but left this behind: {left}.")
            self._left.remove(traces)

    async def _check_readable(self, command: Command) -> None:
        """Find out whether a run failed for being nobody; asked only then, and once."""
        shown = (*command.read_only, *([command.harness] if command.harness else []))
        python = Path(command.python)
        if (python, *shown) in self._readable:
            return
        folders = interpreter(python).folders
        await asyncio.to_thread(drop.check_readable, python, folders, shown)
        self._readable.add((python, *shown))

    async def _carry_out(
        self,
        number: int,
        command: Command,
        on_start: Callable[[Meter], None] | None,
        traces: Traces,
    ) -> Outcome:
        meter: Meter | None = None
        pipes: list[Capture] = []
        opened = [_input(command.stdin)]
        ready, says_ready = os.pipe()
        try:
            await self._prepare(number, command, traces)
            if on_start is not None:
                group = traces.group
                meter = group.meter() if group else ProcessMeter(lambda: self._link.roots(number))
                on_start(meter)
            self._open_pipes(number, command, pipes)
            fds = self._descriptors(command, pipes, opened, says_ready)
            watch = await asyncio.to_thread(self._watch, command, traces)
            request = self._request(number, command, traces, watch, list(fds))
            reply = await self._link_run(request, list(fds.values()), pipes)
            kept = [await pipe.finish(_PIPE_PATIENCE) for pipe in pipes]
            await self._bring_back(command, traces.place)
            stood = not self._drop or _said(ready) == drop.READY
            return self._outcome(command, reply, traces.group, pipes, kept, stood=stood)
        finally:
            for fd in (*opened, ready, says_ready):
                os.close(fd)
            if meter is not None:
                meter.close()
            for pipe in pipes:
                pipe.close()

    async def _prepare(self, number: int, command: Command, traces: Traces) -> None:
        if self._drop:
            await asyncio.to_thread(_entrust_layers, command.layers)
        await self._make_place(number, command, traces)
        if self._groups is not None:
            traces.group = self._groups.create(
                traces.mark, memory=command.limits.memory, processes=command.limits.processes
            )

    async def _bring_back(self, command: Command, place: Path | None) -> None:
        """Under Landlock a step whose writes stay has a copy too: the tree is not the run's."""
        if self._landlock is not None and not command.fresh and place and command.tree:
            await asyncio.to_thread(landlock.bring_back, place / "tree", command.tree)

    def _descriptors(
        self, command: Command, pipes: list[Capture], opened: list[int], says_ready: int
    ) -> dict[int, int]:
        """Return which of our descriptors gets which number inside; adds to `opened`."""
        inside = [opened[0], *(pipe.write for pipe in pipes)]
        inside += [command.channel] if command.channel >= 0 else []
        fds = dict(zip((0, 1, 2, RESULT_FD), inside, strict=False))
        if self._drop:
            fds[drop.READY_FD] = says_ready
        if self._binary is not None and self._binary.program:
            opened.append(bwrap.filter_pipe(self._binary.program))
            fds[bwrap.FILTER_FD] = opened[-1]
        return fds

    async def _link_run(self, request: Request, fds: list[int], pipes: list[Capture]) -> Reply:
        """Send the request; our copies of the pipes' write ends close as soon as it is sent."""
        running = self._link.run(request, fds)
        for pipe in pipes:
            asyncio.get_running_loop().call_soon(pipe.sent)
        return await running

    def _open_pipes(self, number: int, command: Command, pipes: list[Capture]) -> None:
        def flooded() -> None:
            self._link.kill(number, "output")

        def add(keep: int, *, head: bool) -> None:
            pipes.append(Capture(keep=keep, head=head, flood=flooded))
            if self._drop:
                drop.lend(pipes[-1].write)

        for _ in ("stdout", "stderr"):
            add(max(1, command.limits.output // 2), head=False)
        if command.result and command.channel < 0:
            add(_RESULT_CAP, head=True)

    async def _make_place(self, number: int, command: Command, traces: Traces) -> None:
        """Make a folder for this run where no overlay and no tmpfs keeps its writes apart."""
        confined = self._binary is not None
        overlay = self._binary is not None and self._binary.overlay
        fresh = command.fresh or self._landlock is not None
        copied = command.tree is not None and fresh and not overlay
        if confined and not copied:
            return
        traces.place = place = self._scratch / f"run-{number:08d}"  # equally long for all runs
        await asyncio.to_thread((place / "home").mkdir, parents=True)
        if command.tree is not None and copied:
            for layer in (command.tree, *command.layers):
                await asyncio.to_thread(
                    shutil.copytree, layer, place / "tree", symlinks=True, dirs_exist_ok=True
                )
            if self._drop:
                await asyncio.to_thread(drop.entrust, place / "tree")
        if self._landlock is not None:
            await asyncio.to_thread(landlock.give, place, self._landlock)

    def _request(
        self,
        number: int,
        command: Command,
        traces: Traces,
        watch: Watch | None,
        targets: list[int],
    ) -> Request:
        limits, group = command.limits, traces.group
        timeout = int(min(command.timeout, limits.timeout))
        argv, env, cwd = self._program(command, traces.place)
        rlimits = {
            "core": 0,
            "fsize": int(limits.file_size),
            "nofile": _OPEN_FILES,
            "cpu": int(limits.cpu) // 1_000_000_000 + _CPU_SLACK,
        }
        if sys.platform.startswith("linux"):
            rlimits |= {"nice": 0, "rtprio": 0}  # no run goes before another
        if group is None:
            rlimits["address"] = 2 * int(limits.memory) + _ADDRESS_SLACK
            if self._landlock is not None:
                used = landlock.processes_of_user(self._landlock)
                rlimits["nproc"] = used + limits.processes
        return Request(
            id=number,
            mark=traces.mark,
            argv=argv,
            env=env,
            cwd=cwd,
            targets=targets,
            limits=rlimits,
            cgroups=group.procs if group else [],
            timeout_ns=timeout,
            confined=self._binary is not None or self._landlock is not None,
            watch=watch,
            landlock=self._order(command, traces.place),
        )

    def _watch(self, command: Command, traces: Traces) -> Watch | None:
        """Say what the launcher has to watch. Blocking where a copied tree is to be measured."""
        if not sys.platform.startswith("linux"):
            return None
        limits, group, place = command.limits, traces.group, traces.place
        watch = Watch(cpu_ns=int(limits.cpu), counter=group.counter if group else "")
        if group is None:
            watch = replace(watch, memory=int(limits.memory), processes=limits.processes)
        if self._landlock is not None and place is not None:
            # There is no tmpfs: its share of the disk is watched with the tree's.
            both = int(limits.tree_size) + int(limits.tmp_size)
            return _on_disk(watch, both, place)
        if command.tree is None or not command.fresh:
            return watch
        if place is None:
            return replace(watch, tree=int(limits.tree_size), mounts=[TREE])
        return _on_disk(watch, int(limits.tree_size), place / "tree")

    def _order(self, command: Command, place: Path | None) -> landlock.Order | None:
        if self._landlock is None:
            return None
        if place is None:
            raise Misuse("A run under Landlock without a folder of its own.")
        return landlock.order(self._landlock, command, [place])

    def _program(
        self, command: Command, place: Path | None
    ) -> tuple[list[str], dict[str, str], str]:
        """Return argv, environment and working directory of what the launcher starts."""
        env = _environment(command)
        argv = list(command.argv)
        tree = command.tree
        if place is not None and tree is not None and (command.fresh or self._landlock):
            tree = place / "tree"
        if self._binary is None:
            home = (place or self._scratch) / "home"
            line, env, cwd = _unconfined(command, argv, env, tree, home)
            if self._landlock is None:  # there the run itself looks for it, with its own rights
                line[0] = shutil.which(line[0], path=env["PATH"]) or line[0]
            return line, env, cwd
        if self._groups is None and os.geteuid() != 0:
            argv = bwrap.nproc_step(argv, command.limits.processes)
        line = bwrap.arguments(
            self._binary,
            command,
            argv=argv,
            env=env,
            tree=tree,
            etc=self._scratch / "etc",
        )
        return line, {"PATH": os.defpath}, "/"

    def _outcome(
        self,
        command: Command,
        reply: Reply,
        group: Group | None,
        pipes: list[Capture],
        kept: list[bytes],
        *,
        stood: bool,
    ) -> Outcome:
        if group is not None and (gone := group.vanished()):
            return _fault(f"The control group {gone} was removed during the run.")
        out_of_memory = group is not None and group.out_of_memory()
        end = _Ended(Ending.MEMORY) if out_of_memory else self._ended(reply, kept[1], stood=stood)
        cpu_ns = (group.cpu_ns() if group else 0) or reply.cpu_ns
        if end.ending in (Ending.EXITED, Ending.SIGNALLED) and cpu_ns > command.limits.cpu:
            end = _Ended(Ending.CPU)  # whether the watchdog came in time is chance
        result = b"".join(kept[2:])
        return Outcome(
            ending=end.ending,
            sample=Sample(cpu_ns=cpu_ns, wall_ns=reply.wall_ns, rss_bytes=reply.rss_bytes),
            exit_code=end.code,
            signal=end.signal,
            stdout=kept[0],
            stderr=kept[1],
            result=result,
            result_whole=all(pipe.total == len(result) for pipe in pipes[2:]),
            text=end.text or _limit_text(end.ending, command.limits),
        )

    def _ended(self, reply: Reply, stderr: bytes, *, stood: bool) -> "_Ended":
        """How the run ended; `stood` says that bubblewrap's work was followed by the drop."""
        if reply.end in _ENDS:
            if stood:
                return _Ended(_ENDS[reply.end])
            text = f"The run was ended ({reply.end}) before its sandbox stood."
            return _Ended(Ending.FAULT, text=text)
        if reply.end != "exit" or reply.code is None:
            return _Ended(Ending.FAULT, text=reply.text or f"The run was ended: {reply.end}.")
        if self._binary is None and self._landlock is None:
            return _exited(reply.code)
        if reply.inner_exit is None:
            return self._never_ran(reply.code, stderr)
        if not stood:
            text = f"Root's rights could not be dropped ({reply.inner_exit}): {_said_on(stderr)}"
            return _Ended(Ending.FAULT, text=text)
        # A death by signal is passed on as 128 + its number, as shells do.
        return _exited(_as_signal(reply.inner_exit))

    def _never_ran(self, code: int, stderr: bytes) -> "_Ended":
        """The sandbox itself has ended without saying how the command did."""
        if self._landlock is not None:
            return _Ended(Ending.FAULT, text=f"The run's warden ended early ({code}).")
        said = _said_on(stderr)
        if said.startswith(_NOT_FOUND) and not self._drop:
            # Nothing ran yet, so that nobody but bubblewrap can have said this.
            return _Ended(Ending.EXITED, code=_SHELL_NOT_FOUND)
        return _Ended(Ending.FAULT, text=f"Bubblewrap failed ({code}): {said}")


def _said_on(stderr: bytes) -> str:
    return safe_text(stderr.decode(errors="replace"), limit=2000).strip()


def _exited(code: int) -> "_Ended":
    if code < 0:
        return _Ended(Ending.SIGNALLED, signal=-code, text=f"It died of signal {-code}.")
    return _Ended(Ending.EXITED, code=code)


class _Ended(NamedTuple):
    ending: Ending
    code: int | None = None
    signal: int = 0
    text: str = ""


def _on_disk(watch: Watch, most: int, folder: Path) -> Watch:
    """Watch a folder, for what comes to what it holds now. Blocking."""
    before = max(sizes(str(folder)), default=0)
    return replace(watch, tree=most, folder=str(folder), before=before)


def _fault(text: str) -> Outcome:
    return Outcome(ending=Ending.FAULT, sample=_NOTHING, text=text)


def _as_signal(code: int) -> int:
    return _SIGNAL_BASE - code if code > _SIGNAL_BASE else code


def _limit_text(ending: Ending, limits: Limits) -> str:
    match ending:
        case Ending.TIMEOUT:
            return "It did not end in time."
        case Ending.MEMORY:
            return f"It needed more than {limits.memory >> 20} MiB of memory."
        case Ending.PROCESSES:
            return f"It had more than {limits.processes} processes."
        case Ending.OUTPUT:
            return f"It wrote far more than {limits.output >> 10} KiB of output."
        case Ending.CPU:
            return f"It needed more than {limits.cpu.seconds:g} s of CPU time."
        case Ending.TREE:
            return f"It wrote more than {limits.tree_size >> 20} MiB to its tree."
        case _:
            return ""


def _scratch_folder(parent: Path | None) -> Path:
    """Make a private folder, and remove those of engines that were killed. Blocking."""
    parent = parent or Path(tempfile.gettempdir())
    for old in parent.glob(f"{_SCRATCH}*"):
        pid = old.name.removeprefix(_SCRATCH).split("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            with contextlib.suppress(OSError):
                remove(str(old))
    return Path(tempfile.mkdtemp(prefix=f"{_SCRATCH}{os.getpid()}-", dir=parent))


def _level(binary: Rung, groups: Groups | None) -> SandboxLevel:
    limits = groups.label if groups else "rlimits+watchdog"
    if isinstance(binary, landlock.Landlock):
        return landlock.level(binary, limits)
    if binary is None:
        return SandboxLevel(backend="none", version="", limits=limits, network=True)
    overlay = "overlay" if binary.overlay else "copy"
    version = f"{binary.version} ({binary.origin}, {overlay})"
    return SandboxLevel(
        backend="bwrap",
        version=version,
        limits=limits,
        drop=f"uid {drop.USER}" if binary.step else "user",
        seccomp=bool(binary.program),
    )


def _discover(limits: Limits, folder: Path) -> tuple[Rung, Groups | None]:
    """Try everything once. Blocking."""
    end_strays(_of_a_dead_engine)
    write_etc(folder / "etc")
    groups = Groups.find()
    if groups is not None:
        groups.sweep()
    return choose(limits, folder), groups


def _entrust_layers(layers: tuple[Path, ...]) -> None:
    """Layers are made for runs: as root, they are given to the run's user. Blocking."""
    for layer in layers:
        if layer.stat().st_uid != drop.USER:
            drop.entrust(layer)


def _of_a_dead_engine(mark: str) -> bool:
    pid = mark.partition("-")[0]
    return pid.isdigit() and not psutil.pid_exists(int(pid))


def _environment(command: Command) -> dict[str, str]:
    """The environment, from nothing: no variable of the engine's is passed on."""
    folder = Path(command.python).parent
    env = {
        "PATH": f"{folder}:/usr/local/bin:/usr/bin:/bin",
        "HOME": "/tmp",  # noqa: S108 - the run's own
        "TMPDIR": "/tmp",  # noqa: S108 - the run's own
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
    }
    if command.result or command.channel >= 0:
        env["OUROBOROS_RESULT_FD"] = str(RESULT_FD)
    if command.tree is not None:
        env["OUROBOROS_TREE"] = TREE
    return env | command.env


def _unconfined(
    command: Command, argv: list[str], env: dict[str, str], tree: Path | None, home: Path
) -> tuple[list[str], dict[str, str], str]:
    """Replace the fixed inside paths by the real ones."""

    def real(text: str) -> str:
        return text.replace(TREE, str(tree or home)).replace(
            HARNESS, str(command.harness or HARNESS)
        )

    env = {name: real(value) for name, value in env.items()}
    env |= {"HOME": str(home), "TMPDIR": str(home)}
    return [real(word) for word in argv], env, str(tree or home)


def _input(data: bytes) -> int:
    """Return a descriptor from which the run reads its standard input."""
    if not data:
        return os.open(os.devnull, os.O_RDONLY)
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        drop.lend(file.fileno())
        return os.dup(file.fileno())


def _said(fd: int) -> bytes:
    os.set_blocking(fd, False)
    try:
        return os.read(fd, len(drop.READY) + 1)
    except BlockingIOError:
        return b""
