"""The engine that `ouroboros run` starts beside the screen: a process of its own session.

It is started exactly as `ouroboros serve` would be, isolated from the target (`-I`, no
PYTHONPATH), with its output in a log in the state folder: the screen owns the terminal.
"""

import errno
import os
import signal
import subprocess
import termios
import time
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Self

from ouroboros.cli.guards import clean_environment
from ouroboros.cli.reach import is_answering
from ouroboros.errors import (
    ConfigError,
    EngineRunningError,
    EngineUnreachableError,
    LedgerDamagedError,
    LedgerError,
    MachineError,
    OuroborosError,
    SandboxError,
    TargetError,
    WaitTimeoutError,
)
from ouroboros.paths import Paths, make_private

READY_WITHIN_S = 60.0
"""Recovery of a long ledger and the sandbox's self-test may take a while."""

STOPPED_WITHIN_S = 60.0
"""Longer than any sensible `[engine] shutdown_grace`; then it is killed."""

HARD_WITHIN_S = 5.0
"""After a second SIGTERM."""

_POLL_S = 0.05
_LOG_LINES = 15
_LARGEST_LOG = 10 << 20


class Companion:
    """Starts the engine on entering; on leaving it stops it, unless it was released."""

    def __init__(self, command: Sequence[str], paths: Paths) -> None:
        """Remember what to start; nothing runs before the block is entered."""
        self.log = paths.state / "engine.log"
        self._command = command
        self._paths = paths
        self._released = False
        self._process: subprocess.Popen[bytes] | None = None
        self._start = 0

    def __enter__(self) -> Self:
        make_private(self._paths.state)
        self._rotate()
        signal.signal(signal.SIGTERM, _leave)
        with self.log.open("ab") as log:
            self._start = log.tell()
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._paths.root,
                env=clean_environment(os.environ),
                start_new_session=True,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # The screen may notice that its terminal is gone before the signal that says so ends us.
        if not (self._released or terminal_vanished()):
            self.stop()

    def _rotate(self) -> None:
        """Keep one old log, so that neither grows for ever."""
        if self.log.exists() and self.log.stat().st_size > _LARGEST_LOG:
            self.log.replace(self.log.with_suffix(".log.1"))

    @property
    def _child(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "used outside of its block"  # noqa: S101 - for mypy
        return self._process

    @property
    def pid(self) -> int:
        """The engine's process id."""
        return self._child.pid

    def wait_until_ready(self) -> None:
        """Return once the engine's socket answers.

        Raises:
            OuroborosError: it ended instead; the class has the engine's own exit code.
            WaitTimeoutError: it does neither.
        """
        deadline = time.monotonic() + READY_WITHIN_S
        while not is_answering(self._paths.socket):
            code = self._child.poll()
            if code is not None:
                raise self._failure(code)
            if time.monotonic() > deadline:
                raise WaitTimeoutError(
                    f"The engine did not open its socket within {READY_WITHIN_S:.0f} s.",
                    hint=f"Its log is {self.log}.",
                )
            time.sleep(_POLL_S)

    def _failure(self, code: int) -> OuroborosError:
        last = self._last_words()
        message = f"The engine ended while starting (exit code {code})."
        if last:
            message = f"{message} It said:\n{last}"
        kind = _BY_CODE.get(code, EngineUnreachableError)
        return kind(message, hint=f"The whole log is {self.log}.")

    def _last_words(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._start)
            lines = log.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_LINES:])

    def release(self) -> None:
        """Leave the engine running when the block ends."""
        self._released = True

    def stop(self) -> None:
        """Ask the engine to end in order; kill it if it does not. May be called twice."""
        if self._child.poll() is not None:
            return
        self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(STOPPED_WITHIN_S)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            # A second SIGTERM is the engine's own hard way out: it still kills what it runs.
            self._child.send_signal(signal.SIGTERM)
            self._end_hard()

    def _end_hard(self) -> None:
        try:
            self._child.wait(HARD_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


_BY_CODE: dict[int, type[OuroborosError]] = {
    kind.exit_code: kind
    for kind in (
        ConfigError,
        TargetError,
        EngineRunningError,
        SandboxError,
        LedgerError,
        LedgerDamagedError,
        MachineError,
    )
}


def terminal_vanished() -> bool:
    """Whether standard input was a terminal whose other side has hung up."""
    try:
        termios.tcgetattr(0)
    except termios.error as error:
        return bool(error.args[0] == errno.EIO)
    return False
