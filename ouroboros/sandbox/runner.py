"""`Sandbox`: carries out one `Command` after another, contained, limited and measured.

Limits on memory and processes are the kernel's where control groups can be made; else address
space and process rlimits inside plus a watchdog in the launcher. `level.limits` says which.
"""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from ouroboros.config import Sandbox as Limits
from ouroboros.errors import ConfigError, Misuse, SandboxError
from ouroboros.model.evaluation import Containment, Sample, SandboxLevel
from ouroboros.sandbox import bwrap, drop, landlock
from ouroboros.sandbox.capture import Capture
from ouroboros.sandbox.cgroups import Group, Groups
from ouroboros.sandbox.command import RESULT_FD, TREE, Command, Ending, Outcome
from ouroboros.sandbox.endings import Ended, decide, fault, limit_text
from ouroboros.sandbox.ladder import Rung
from ouroboros.sandbox.link import Link, Reply, Request, Watch
from ouroboros.sandbox.meter import Meter, ProcessMeter
from ouroboros.sandbox.opening import discover, level, scratch_folder
from ouroboros.sandbox.relay import Relay
from ouroboros.sandbox.removal import remove
from ouroboros.sandbox.root import interpreter
from ouroboros.sandbox.surroundings import environment, unconfined
from ouroboros.sandbox.traces import Traces
from ouroboros.sandbox.watching import sizes

_RESULT_CAP = 32 << 20
_PIPE_PATIENCE = 2.0
_OPEN_FILES = 4096
_CPU_SLACK = 2
"""Seconds of CPU time that one process has more than the run: its end is then ours to name."""
_ADDRESS_SLACK = 512 << 20
_MOUNTS = ("/tmp", "/dev/shm")  # noqa: S108 - inside, the run's own


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
        self.level = level(binary, groups)
        self.swept: tuple[str, ...] = ()
        """What was left of dead engines and ended when this was opened, in words."""
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
        folder = await asyncio.to_thread(scratch_folder, scratch)
        try:
            offer = await asyncio.to_thread(discover, limits, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        sandbox = cls(folder, offer.rung, offer.groups)
        sandbox.swept = offer.swept
        return sandbox

    def level_for(self, limits: Limits) -> SandboxLevel:
        """What contains runs with these limits: services may be let through to them."""
        return replace(self.level, network=self.level.network or bool(limits.network))

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
            outcome = fault(str(error))
        finally:
            left = await traces.remove()
            if left:
                self._left.append(traces)  # also a cancelled run's, which has no answer
        if left:
            return fault(f"The run has ended, but this of it is still there: {left}.")
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
        if command.limits.network and self.level.backend != Containment.NONE:
            if self._binary is None:
                raise ConfigError(
                    f"[sandbox] network needs bubblewrap; this is {self.level.backend}.",
                    hint="Remove the option, or make bubblewrap work: see 'ouroboros doctor'.",
                )
            traces.relay = Relay(command.limits.network, self._scratch / f"net-{number:08d}")
            await traces.relay.open()
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
        argv, env, cwd = self._program(command, traces.place, traces.relay)
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
        fresh = command.tree is not None and command.fresh
        watch = Watch(cpu_ns=int(limits.cpu), counter=group.counter if group else "")
        if group is None:
            watch = replace(watch, memory=int(limits.memory), processes=limits.processes)
            if self._binary is not None:
                mounts = [TREE, *_MOUNTS] if fresh and place is None else list(_MOUNTS)
                watch = replace(watch, mounts=mounts)
        if fresh and place is None:
            return replace(watch, tree={TREE: int(limits.tree_size)})
        folders = {}
        if fresh and place is not None:
            before = max(sizes(str(place / "tree")), default=0)
            folders[str(place / "tree")] = before + int(limits.tree_size)
        if self._binary is None and place is not None:
            folders[str(place / "home")] = int(limits.tmp_size)
        return replace(watch, folders=folders)

    def _order(self, command: Command, place: Path | None) -> landlock.Order | None:
        if self._landlock is None:
            return None
        if place is None:
            raise Misuse("A run under Landlock without a folder of its own.")
        return landlock.order(self._landlock, command, [place])

    def _program(
        self, command: Command, place: Path | None, relay: Relay | None
    ) -> tuple[list[str], dict[str, str], str]:
        """Return argv, environment and working directory of what the launcher starts."""
        env = environment(command)
        argv = list(command.argv)
        tree = command.tree
        if place is not None and tree is not None and (command.fresh or self._landlock):
            tree = place / "tree"
        if self._binary is None:
            home = (place or self._scratch) / "home"
            line, env, cwd = unconfined(command, argv, env, tree, home)
            if self._landlock is None:  # there the run itself looks for it, with its own rights
                line[0] = shutil.which(line[0], path=env["PATH"]) or line[0]
            return line, env, cwd
        if relay is not None:
            argv = relay.wrap(command.python, argv)
        if self._groups is None and os.geteuid() != 0:
            argv = bwrap.nproc_step(argv, command.limits.processes)
        line = bwrap.arguments(
            self._binary,
            command,
            argv=argv,
            env=env,
            tree=tree,
            etc=self._scratch / "etc",
            more=tuple(relay.arguments()) if relay else (),
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
            return fault(f"The control group {gone} was removed during the run.")
        out_of_memory = group is not None and group.out_of_memory()
        rung = self._binary or self._landlock
        end = decide(reply, kept[1], rung, stood=stood)
        if out_of_memory:
            end = Ended(Ending.MEMORY)
        cpu_ns = (group.cpu_ns() if group else 0) or reply.cpu_ns
        if end.ending in (Ending.EXITED, Ending.SIGNALLED) and cpu_ns > command.limits.cpu:
            end = Ended(Ending.CPU)  # whether the watchdog came in time is chance
        result = b"".join(kept[2:])
        return Outcome(
            ending=end.ending,
            sample=Sample(cpu_ns=cpu_ns, wall_ns=reply.wall_ns, rss_bytes=reply.rss_bytes),
            exit_code=end.code,
            signal=end.signal,
            stdout=kept[0],
            stderr=kept[1],
            stdout_whole=pipes[0].total == len(kept[0]),
            result=result,
            result_whole=all(pipe.total == len(result) for pipe in pipes[2:]),
            text=end.text or limit_text(end.ending, command.limits),
        )


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


def _entrust_layers(layers: tuple[Path, ...]) -> None:
    """Layers are made for runs: as root, they are given to the run's user. Blocking."""
    for layer in layers:
        if layer.stat().st_uid != drop.USER:
            drop.entrust(layer)
