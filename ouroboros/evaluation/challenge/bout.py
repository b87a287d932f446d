"""One bout of a challenge for a function: fresh processes, the referee's thread, one pair.

Processes start one after the other, so that neither starts beside the other's start. Each side has
a budget of time that it may make us wait; the sandbox's own limit is wider, since a process also
lives while the other side is asked. Whoever was being waited for when something broke is at fault.
"""

import contextlib
from collections.abc import Callable

import msgspec

from ouroboros.config import Challenge, Duration
from ouroboros.config import Sandbox as Limits
from ouroboros.evaluation.challenge.examiner import Examiner, conversing
from ouroboros.evaluation.challenge.frames import Fault, Line, join
from ouroboros.evaluation.challenge.peer import Lost, Met, in_thread, meet
from ouroboros.evaluation.challenge.referee import SINGLES, Account, Bout
from ouroboros.evaluation.lab import INSIDE, Job
from ouroboros.evaluation.records import Coverage, Modules, Records, decode
from ouroboros.evaluation.sides import Sides
from ouroboros.evaluation.suite import LIMIT_CODES, tail
from ouroboros.model.evaluation import Pair, Sample
from ouroboros.model.text import safe_text
from ouroboros.sandbox import HARNESS, Command, Outcome, Sandbox

_SHARE = 3
"""The sandbox's limit is so many budgets: our own side's, the other side's, and starting."""

_SHOWN = 400


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What a bout brought.

    Attributes:
        pair: the samples.
        compared: how many inputs had equal results.
        loaded: what each side reported to have loaded, where it was asked.
        executed: the lines that the sides executed, where that was noted.
    """

    pair: Pair
    compared: int
    loaded: dict[str, tuple[Modules, ...]] = {}
    executed: tuple[Coverage, ...] = ()


class Fell(Exception):  # noqa: N818 - a finding about one side, turned into a check by its catcher
    """A side did not get through a bout."""

    def __init__(self, side: str, code: str, text: str, outcome: Outcome | None = None) -> None:
        """Say who and how.

        Args:
            side: `baseline` or `candidate`.
            code: of the check.
            text: for people, safe.
            outcome: how its process ended, where that is known.
        """
        super().__init__(text)
        self.side = side
        self.code = code
        self.text = text
        self.outcome = outcome


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What all bouts of one challenge have in common."""

    job: Job
    spec: Challenge
    examiner: Examiner


async def hold(
    setting: Setting, sides: Sides, *, candidate_first: bool, proof: bool, traced: bool = False
) -> Held:
    """Hold one bout.

    Args:
        setting: the challenge.
        sides: the two trees.
        candidate_first: what the coin said.
        proof: ask also which files were loaded.
        traced: have both sides note which lines they execute; their times mean nothing then.

    Raises:
        Fell: a side broke off, or was too slow.
        Different: the sides do not agree.
        Uncomparable: nobody can know whether they do.
        EvaluationError: no inputs could be made.
        SandboxError: the sandbox failed.
    """
    job, spec = setting.job, setting.spec
    inputs = await setting.examiner.papers([1, *[spec.batch] * spec.rounds, *[1] * SINGLES])
    papers = [join(paper) for paper in inputs]
    started = job.lab.clock_ns()
    order = ("candidate", "baseline") if candidate_first else ("baseline", "candidate")
    mets: dict[str, Met] = {}
    async with contextlib.AsyncExitStack() as stack:
        try:
            starts = {}
            for side in order:
                mets[side] = await stack.enter_async_context(
                    _start(setting, sides, side, traced=traced)
                )
                starts[side] = await in_thread([mets[side].peer], mets[side].peer.hello)
            bout = Bout(
                mets["baseline"].peer, mets["candidate"].peer, candidate_first=candidate_first
            )
            await _talk(mets, lambda: bout.hold(papers))
            asked = order if proof or traced else ()
            told = {side: await _told(mets, bout, side) for side in asked}
            ends = {side: await _finish(mets, side) for side in order}
        except Lost as lost:
            raise await _fell(mets[lost.peer.side], lost) from None
    samples = {
        side: _sample(bout.accounts[side], mets[side], starts[side], ends[side]) for side in order
    }
    pair = Pair(
        started_ns=started,
        candidate_first=candidate_first,
        baseline=samples["baseline"],
        candidate=samples["candidate"],
    )
    return Held(
        pair=pair,
        compared=bout.compared,
        loaded={side: records.modules for side, records in told.items()},
        executed=tuple(report for records in told.values() for report in records.coverage),
    )


def _start(
    setting: Setting, sides: Sides, side: str, *, traced: bool
) -> contextlib.AbstractAsyncContextManager[Met]:
    job, spec = setting.job, setting.spec
    tree = sides.candidate if side == "candidate" else sides.baseline
    budget = min(spec.timeout, job.plan.config.sandbox.timeout // _SHARE)
    argv = (job.plan.python, f"{HARNESS}/_ouroboros_worker.py", spec.call)
    command = conversing(job, argv, tree, Duration(_SHARE * budget))
    if traced:
        env = command.env | {"OUROBOROS_COVERAGE": "1"}
        command = msgspec.structs.replace(command, env=env)
    return meet(job.lab.sandbox, command, side, budget)


async def _talk(mets: dict[str, Met], work: Callable[[], None]) -> None:
    await in_thread([met.peer for met in mets.values()], work)


async def _told(mets: dict[str, Met], bout: Bout, side: str) -> Records:
    peer = mets[side].peer
    data = await in_thread([peer], lambda: bout.modules(peer))
    records = decode(data)
    if not records.readable:
        raise Fell(side, "protocol", "It gave no honest record of the files that it loaded.")
    return records


async def _finish(mets: dict[str, Met], side: str) -> Outcome:
    met = mets[side]
    await in_thread([met.peer], met.peer.finish)
    outcome = await met.outcome()
    if outcome is None:
        raise Fell(side, "protocol", "It did not end when it was told to.")
    if not outcome.ok:
        raise _ended(side, outcome)
    return outcome


async def _fell(met: Met, lost: Lost) -> Fell:
    side, broken = lost.peer.side, lost.broken
    match broken.fault:
        case Fault.REFUSED:
            code = "refused" if lost.peer.greeted else "import_failed"
            return Fell(side, code, safe_text(broken.text, limit=_SHOWN))
        case Fault.TIMEOUT:
            return Fell(side, "timeout", broken.text)
        case Fault.PROTOCOL:
            return Fell(side, "protocol", broken.text)
        case Fault.GONE:
            outcome = await met.outcome()
            if outcome is None:
                text = "It closed its channel and went on running."
                return Fell(side, "protocol", text)
            return _ended(side, outcome)


def _ended(side: str, outcome: Outcome) -> Fell:
    if outcome.ending in LIMIT_CODES:
        code = LIMIT_CODES[outcome.ending]
        return Fell(side, code, f"{outcome.text}{tail(outcome)}", outcome)
    text = f"It ended with exit code {outcome.exit_code} before it was told to.{tail(outcome)}"
    return Fell(side, "protocol", text, outcome)


def _sample(account: Account, met: Met, start_ns: int, outcome: Outcome) -> Sample:
    return Sample(
        cpu_ns=account.cpu_ns,
        wall_ns=account.wall_ns,
        rss_bytes=outcome.sample.rss_bytes,
        total_cpu_ns=outcome.sample.cpu_ns,
        start_cpu_ns=start_ns,
        first_cpu_ns=account.first_ns,
        idle_cpu_ns=met.peer.idle_ns,
        single_cpu_ns=account.singles_ns,
    )


async def round_trips_ns(sandbox: Sandbox, python: str, count: int) -> list[int]:
    """Time empty rounds through the real referee and a real worker: the clock's own error.

    Args:
        sandbox: an open sandbox.
        python: an interpreter.
        count: how many rounds.
    """
    limits = Limits()
    env = {"OUROBOROS_PATH": HARNESS}
    argv = (python, f"{HARNESS}/_ouroboros_worker.py", "builtins:len")
    command = Command(
        argv=argv, python=python, limits=limits, timeout=limits.timeout, harness=INSIDE, env=env
    )

    def ask(line: Line) -> list[int]:
        line.ask(b"H", expect=b"h")
        line.ask(b"L", join([]), expect=b"l")
        return [line.ask(b"G", expect=b"g")[1] for _ in range(count)]

    async with meet(sandbox, command, "candidate", limits.timeout) as met:
        return await in_thread([met.peer], lambda: ask(met.peer.line))
