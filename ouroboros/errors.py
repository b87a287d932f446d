"""Every error that Ouroboros raises on purpose: one root, leaves by area.

Why codes stand on the classes: an error ends either in a shell (exit code) or in a JSON-RPC
answer (error code), and both must be decided where the error is named, not where it is caught.
Only the outermost layer prints. Messages are for people: what was expected, what was found,
where, and what to do next. `Misuse` is the programmer's fault and never caught; everything else
under `OuroborosError` is the world's.

Exit codes: 0 done, 1 unexpected, 2 usage, 3 not found, 4 conflict or wrong phase, 5 refused,
6 configuration, 7 target repository, 8 engine unreachable, 9 sandbox, 10 ledger, 11 timeout,
12 environment, 13 a damaged ledger that an engine refuses to go on with.
"""

from typing import ClassVar


class Misuse(RuntimeError):  # noqa: N818 - a programmer's mistake, not an error of the world
    """A room was called against its contract; a bug in Ouroboros."""


class OuroborosError(Exception):
    """Root of all expected errors."""

    exit_code: ClassVar[int] = 1
    rpc_code: ClassVar[int] = -32603
    rpc_name: ClassVar[str] = "internal"

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep the facts (`message`) and what to do next (`hint`) apart.

        Args:
            message: what was expected, what was found, and where.
            hint: the next step for the reader, an imperative sentence; may be empty.
        """
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


# --- requests -----------------------------------------------------------------------------------


class NotFoundError(OuroborosError):
    """The named candidate, version, cycle or entry does not exist."""

    exit_code = 3
    rpc_code = -32001
    rpc_name = "not_found"


class ConflictError(OuroborosError):
    """The caller's expectation (hash, sequence) does not match what stands."""

    exit_code = 4
    rpc_code = -32002
    rpc_name = "conflict"


class UnauthenticatedError(OuroborosError):
    """We do not know who is asking."""

    exit_code = 5
    rpc_code = -32003
    rpc_name = "unauthenticated"


class ForbiddenError(OuroborosError):
    """We know who is asking, and he may not."""

    exit_code = 5
    rpc_code = -32004
    rpc_name = "forbidden"


class MisdirectedError(ForbiddenError):
    """The request was meant for another host: a name that is not ours leads here."""


class WrongPhaseError(OuroborosError):
    """The request is not possible in the phase where the candidate (or the engine) stands."""

    exit_code = 4
    rpc_code = -32005
    rpc_name = "wrong_phase"


class IllegalMoveError(WrongPhaseError):
    """An event arrived in a phase for which the table of moves has no row."""


class BusyError(OuroborosError):
    """A limit of concurrent work or size is reached."""

    exit_code = 5
    rpc_code = -32006
    rpc_name = "busy"


class CursorExpiredError(OuroborosError):
    """The subscription cursor lies before what can be replayed."""

    exit_code = 4
    rpc_code = -32007
    rpc_name = "cursor_expired"


class WaitTimeoutError(OuroborosError):
    """What was waited for did not happen in time."""

    exit_code = 11
    rpc_code = -32008
    rpc_name = "timeout"


class CancelledByHumanError(OuroborosError):
    """The work was cancelled while it ran."""

    exit_code = 5
    rpc_code = -32009
    rpc_name = "cancelled"


class UnsupportedProtocolError(OuroborosError):
    """Client and engine speak different protocol majors."""

    exit_code = 8
    rpc_code = -32010
    rpc_name = "unsupported_protocol"


class InvalidParamsError(OuroborosError):
    """The parameters of a request do not fit its schema."""

    exit_code = 2
    rpc_code = -32602
    rpc_name = "invalid_params"


class MethodUnavailableError(OuroborosError):
    """The method does not exist, or not on this door."""

    exit_code = 2
    rpc_code = -32601
    rpc_name = "method_not_found"


# --- configuration ------------------------------------------------------------------------------


class ConfigError(OuroborosError):
    """`ouroboros.toml` is missing, unreadable, unknown in a key, or wrong in a value."""

    exit_code = 6
    rpc_code = -32012
    rpc_name = "config"


# --- target repository --------------------------------------------------------------------------


class TargetError(OuroborosError):
    """The target repository is not in a state that the engine can work with."""

    exit_code = 7
    rpc_code = -32013
    rpc_name = "target"


class GitError(TargetError):
    """A git command failed in a way nobody planned for."""


class PatchError(TargetError):
    """A diff does not apply on its base."""


class PatchConflictError(PatchError):
    """A diff (or the reverse of a promoted one) conflicts with what came after its base."""


class WorkTreeError(TargetError):
    """Promoting or rolling back would overwrite local edits of the user."""


class BranchMovedError(TargetError):
    """The branch is no longer where the compare-and-swap expected it."""


# --- engine process -----------------------------------------------------------------------------


class EngineUnreachableError(OuroborosError):
    """No engine answers on the socket."""

    exit_code = 8
    rpc_code = -32014
    rpc_name = "unreachable"


class EngineRunningError(OuroborosError):
    """Another engine already works on this target."""

    exit_code = 8
    rpc_code = -32015
    rpc_name = "engine_running"


class MachineError(OuroborosError):
    """Something outside of us is missing or broken: git, an interpreter, permissions."""

    exit_code = 12
    rpc_code = -32016
    rpc_name = "environment"


# --- sandbox and evaluation ---------------------------------------------------------------------


class SandboxError(OuroborosError):
    """The sandbox itself could not be set up or died; says nothing about the candidate."""

    exit_code = 9
    rpc_code = -32017
    rpc_name = "sandbox"


class SandboxUnavailableError(SandboxError):
    """No allowed sandbox backend works on this machine."""


class EvaluationError(OuroborosError):
    """The evaluation could not be carried out (harness fault); never a verdict."""

    exit_code = 9
    rpc_code = -32018
    rpc_name = "evaluation"


class MeasurementError(EvaluationError):
    """Samples that cannot be compared: zero, negative, non-finite or missing."""


class ProposerError(OuroborosError):
    """A proposer failed; no candidate came of it."""

    exit_code = 9
    rpc_code = -32019
    rpc_name = "proposer"


# --- ledger -------------------------------------------------------------------------------------


class LedgerError(OuroborosError):
    """The ledger cannot be read or written."""

    exit_code = 10
    rpc_code = -32011
    rpc_name = "ledger"


class LedgerFullError(LedgerError):
    """There is no space left to append; nothing was appended."""


class LedgerCorruptError(LedgerError):
    """A stored entry is not what was written."""


class LedgerDamagedError(LedgerCorruptError):
    """The ledger is damaged, and nothing may be added to it before somebody has salvaged it."""

    exit_code = 13


class LedgerForkedError(LedgerError):
    """Somebody else appended: this process is not the only writer, and must not go on."""


class LedgerNewerError(LedgerError):
    """The file was written by a newer Ouroboros."""


class LedgerReadOnlyError(LedgerError):
    """The file, its folder or its file system may not be written to."""


class EvidencePrunedError(NotFoundError):
    """Evidence that was there, and was removed when its retention ended."""


class HeadError(LedgerError):
    """A signed head, or the key that signs or verifies it, is not what it should be."""


class SignatureError(OuroborosError):
    """A human act is not signed as it must be: no signature, another's, or over something else."""

    exit_code = 5
    rpc_code = -32004
    rpc_name = "forbidden"
