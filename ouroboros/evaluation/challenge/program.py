"""One bout of a challenge for a program: arguments and standard input in, output and exit code out.

Each call is a process of its own, on a fresh tree, and the two sides never run at once. Standard
error, files and network are not compared. All that is timed is timed by the launcher, starting
included: a program's start is part of what its users wait for.
"""

import base64
from pathlib import Path
from typing import NamedTuple

import msgspec

from ouroboros.errors import EvaluationError
from ouroboros.evaluation.challenge.bout import Fell, Held, Setting
from ouroboros.evaluation.challenge.referee import Different
from ouroboros.evaluation.records import Modules, decode
from ouroboros.evaluation.sides import Sides
from ouroboros.evaluation.suite import LIMIT_CODES, tail
from ouroboros.model.evaluation import Pair, Sample
from ouroboros.model.text import safe_line
from ouroboros.sandbox import Outcome

_SHOWN = 120


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs of one call, as the examiner writes them."""

    arguments: tuple[str, ...]
    stdin: str

    @property
    def data(self) -> bytes:
        """Standard input."""
        return base64.b64decode(self.stdin)


class Answered(NamedTuple):
    """What one call said, and how it went."""

    exit_code: int | None
    stdout: bytes
    outcome: Outcome


async def hold(setting: Setting, sides: Sides, *, candidate_first: bool, proof: bool) -> Held:
    """Hold one bout: `batch` calls on each side.

    Args:
        setting: the challenge.
        sides: the two trees.
        candidate_first: what the coin said; the order changes with each call.
        proof: ask also which files Python interpreters loaded; such a bout is not to be measured.

    Raises:
        Fell: a side broke off, or was too slow.
        Different: the sides do not agree.
        EvaluationError: no inputs could be made, or they are none.
        SandboxError: the sandbox failed.
    """
    inputs = (await setting.examiner.papers([setting.spec.batch]))[0]
    calls = [_decoded(data) for data in inputs]
    started = setting.job.lab.clock_ns()
    order = ("candidate", "baseline") if candidate_first else ("baseline", "candidate")
    outcomes: dict[str, list[Outcome]] = {side: [] for side in order}
    loaded: dict[str, tuple[Modules, ...]] = dict.fromkeys(order, ())
    for number, call in enumerate(calls):
        answers = {}
        for side in order:
            tree = sides.candidate if side == "candidate" else sides.baseline
            answers[side] = await _ask(setting, tree, side, call, proof=proof)
            outcome = answers[side].outcome
            outcomes[side].append(outcome)
            if proof:
                records = decode(outcome.result, whole=outcome.result_whole)
                loaded[side] += records.modules
        _compare(number, call, answers["baseline"], answers["candidate"])
        order = order[::-1]
    pair = Pair(
        started_ns=started,
        candidate_first=candidate_first,
        baseline=_sample(outcomes["baseline"]),
        candidate=_sample(outcomes["candidate"]),
    )
    return Held(pair=pair, compared=len(calls), loaded=loaded if proof else {})


def _decoded(data: bytes) -> Call:
    try:
        call = msgspec.json.decode(data, type=Call)
        call.data  # noqa: B018 - must be decodable
    except (msgspec.DecodeError, ValueError) as error:
        raise EvaluationError(f"The generator's inputs cannot be read: {error}.") from None
    if any("\0" in argument for argument in call.arguments):
        raise EvaluationError("An argument of a command cannot contain a NUL character.")
    return call


async def _ask(setting: Setting, tree: Path, side: str, call: Call, *, proof: bool) -> Answered:
    job, spec = setting.job, setting.spec
    argv = (*job.argv(spec.command), *call.arguments)
    command = job.command(argv, tree, spec.timeout, witness=proof)
    command = msgspec.structs.replace(command, stdin=call.data)
    outcome = await job.run(command)
    if outcome.ending in LIMIT_CODES:
        text = f"{outcome.text}{tail(outcome)}"
        raise Fell(side, LIMIT_CODES[outcome.ending], text, outcome)
    if len(outcome.stdout) >= job.plan.config.sandbox.output // 2:
        text = "It wrote more than is kept, so that it cannot be compared: raise [sandbox] output."
        raise Fell(side, "output", text, outcome)
    return Answered(outcome.exit_code, outcome.stdout, outcome)


def _compare(number: int, call: Call, expected: Answered, found: Answered) -> None:
    if expected[:2] == found[:2]:
        return
    at = _first_difference(expected.stdout, found.stdout)
    raise Different(
        f"In call {number + 1}, with {_shown(' '.join(call.arguments))} and {len(call.data)} bytes "
        f"of input: expected exit code {expected.exit_code} and output {_part(expected, at)}, "
        f"found exit code {found.exit_code} and output {_part(found, at)}."
    )


def _first_difference(mine: bytes, theirs: bytes) -> int:
    shorter = min(len(mine), len(theirs))
    return next((i for i in range(shorter) if mine[i] != theirs[i]), shorter)


def _part(answer: Answered, at: int) -> str:
    begin = max(0, at - _SHOWN // 4)
    text = answer.stdout[begin : begin + _SHOWN].decode(errors="replace")
    return f"{_shown(text)} (at byte {at} of {len(answer.stdout)})"


def _shown(text: str) -> str:
    return f'"{safe_line(text, limit=_SHOWN)}"'


def _sample(outcomes: list[Outcome]) -> Sample:
    cpu = sum(outcome.sample.cpu_ns for outcome in outcomes)
    return Sample(
        cpu_ns=max(1, cpu),
        wall_ns=sum(outcome.sample.wall_ns for outcome in outcomes),
        rss_bytes=max(outcome.sample.rss_bytes for outcome in outcomes),
        total_cpu_ns=cpu,
    )
