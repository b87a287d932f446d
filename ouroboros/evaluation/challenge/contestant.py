"""A challenge as a contestant: rehearsed, measured pair by pair, and its findings made into checks.

The rehearsal first lets the baseline play against itself, once per commit: a function whose results
differ from run to run can be compared with nobody. Each bout compares, those of the measurement
too: until the last pair is taken, a candidate is asked about inputs that nobody has seen.

Against another commit than the one that it must agree with (the anchor), a bout is only a measure:
a difference means that the times are of different work, and is nobody's failure.
"""

import json

from ouroboros.config import Challenge
from ouroboros.evaluation import bench
from ouroboros.evaluation.challenge import bout, program
from ouroboros.evaluation.challenge.bout import Fell, Held, Setting
from ouroboros.evaluation.challenge.examiner import Examiner
from ouroboros.evaluation.challenge.referee import Different, Uncomparable
from ouroboros.evaluation.dossier import Dossier
from ouroboros.evaluation.lab import Job
from ouroboros.evaluation.plan import Plan
from ouroboros.evaluation.records import Coverage
from ouroboros.evaluation.sides import SIDES, Sides
from ouroboros.model.evaluation import CHALLENGE, CheckOutcome, CheckStatus, Pair
from ouroboros.sandbox import Outcome

_TWINS = 64
"""Baselines to remember that agreed with themselves."""


class Challenger:
    """One challenge of one evaluation."""

    def __init__(
        self, job: Job, sides: Sides, key: str, dossier: Dossier, *, exam: bool = True
    ) -> None:
        """Prepare; `close` ends its examiner.

        Args:
            job: the evaluation.
            sides: the two trees.
            key: in `[challenges]`.
            dossier: where checks and proof go.
            exam: whether the candidate must agree with the baseline; else it is only measured.
        """
        self.name = f"{CHALLENGE}{key}"
        self.spec: Challenge = job.plan.config.challenges[key]
        self._job = job
        self._sides = sides
        self._key = key
        self._dossier = dossier
        self._exam = exam
        self._examiner = Examiner(job, sides.judging, key)
        self._compared = 0

    async def rehearse(self) -> None:
        """Play unmeasured: is it a measure at all, and which files does it run?

        Raises:
            Halt: it is none, or the candidate fails it already.
        """
        if self._exam:
            await self._examine_itself()
        held = await self._hold(self._sides, candidate_first=False, proof=True)
        for side in SIDES:
            tree = self._sides.tree(side)
            await bench.check_files(self._job, tree, held.loaded[side], self._dossier)
        found = await bench.prove(
            self._job, self._sides.candidate, held.loaded["candidate"], self._dossier
        )
        self._dossier.challenged |= found

    async def _examine_itself(self) -> None:
        """Let the baseline play against itself, once per commit."""
        lab, relevant = self._job.lab, _relevant(self._job.plan, self._key)
        async with lab.baselining:
            if relevant not in lab.twins:
                twins = Sides(baseline=self._sides.baseline, candidate=self._sides.baseline)
                await self._hold(twins, candidate_first=False, twin=True)
                while len(lab.twins) >= _TWINS:
                    lab.twins.pop(next(iter(lab.twins)))
                lab.twins[relevant] = await self._executed(twins)
            self._dossier.executed += lab.twins[relevant]

    async def _executed(self, twins: Sides) -> tuple[Coverage, ...]:
        """Return which lines of the baseline the challenge executes; nothing where it is unknown.

        Unknown lines count as not executed, which brings the candidate before a human at worst.
        """
        if self.spec.command:
            return ()
        setting = Setting(job=self._job, spec=self.spec, examiner=self._examiner)
        try:
            held = await bout.hold(setting, twins, candidate_first=False, proof=False, traced=True)
        except (Fell, Uncomparable, Different):
            return ()  # too slow when traced, or aware of it
        return held.executed

    async def pair(self, *, candidate_first: bool) -> Pair:
        """Hold one measured bout.

        Raises:
            Halt: a side failed, or they do not agree.
        """
        return (await self._hold(self._sides, candidate_first=candidate_first)).pair

    async def passed(self) -> None:
        """Note that no bout found a difference, and reveal what was asked."""
        text = f"Baseline and candidate gave equal results for {self._compared} fresh inputs."
        if self._examiner.repeated:
            text += f" {self._examiner.repeated} of all inputs repeated an earlier one."
        await self._add(CheckStatus.PASSED, "ok", text)

    async def close(self) -> None:
        """End the examiner."""
        await self._examiner.close()

    async def _hold(
        self, sides: Sides, *, candidate_first: bool, twin: bool = False, proof: bool = False
    ) -> Held:
        setting = Setting(job=self._job, spec=self.spec, examiner=self._examiner)
        hold = program.hold if self.spec.command else bout.hold
        try:
            held = await hold(setting, sides, candidate_first=candidate_first, proof=proof)
        except Fell as fell:
            await self._fell(fell, own=fell.side == "candidate" and not twin)
            raise
        except Uncomparable as problem:
            text = (
                f"The result of {self.spec.call} cannot be compared, since it holds {problem}. "
                "Name a function that returns plain values, for instance a small one beside the "
                "generator that calls the target and takes the result apart."
            )
            await self._add(CheckStatus.ERROR, "uncomparable", text)
            raise
        except Different as difference:
            await self._different(str(difference), twin=twin)
            raise
        self._compared += held.compared
        return held

    async def _fell(self, fell: Fell, *, own: bool) -> None:
        side = "candidate" if own else "baseline"
        text = f"The {side} failed the challenge {self._key}. {fell.text}"
        if not own and fell.code == "timeout":
            text += (
                " Let the generator make smaller inputs, make batch or rounds smaller, "
                "or timeout longer."
            )
        status = CheckStatus.FAILED if own else CheckStatus.ERROR
        code = fell.code if own else "baseline_challenge"
        await self._add(status, code, text, outcome=fell.outcome)

    async def _different(self, text: str, *, twin: bool) -> None:
        if twin:
            text = (
                f"The challenge {self._key} is not deterministic: the baseline differs from "
                f"itself. {text} Leave out what depends on time, chance, addresses or the process."
            )
            await self._add(CheckStatus.ERROR, "not_deterministic", text)
        elif not self._exam:
            text = (
                f"Both sides of the challenge {self._key} do different work: {text} Since people "
                "have changed what is right, pin a newer anchor."
            )
            await self._add(CheckStatus.ERROR, "different_work", text)
        else:
            await self._add(CheckStatus.FAILED, "different_result", text)

    async def _add(
        self, status: CheckStatus, code: str, text: str, *, outcome: Outcome | None = None
    ) -> None:
        # Secrets until here: the seeds, so that anybody can make the same inputs again.
        told: dict[str, object] = {"challenge": self._key, "seeds": self._examiner.seeds}
        if outcome is not None:
            told["stdout"] = outcome.stdout.decode(errors="replace")
            told["stderr"] = outcome.stderr.decode(errors="replace")
        log = await self._job.lab.keep(json.dumps(told, indent=1).encode())
        self._dossier.add(
            CheckOutcome(name=self.name, status=status, code=code, text=text, log=log)
        )


def _relevant(plan: Plan, key: str) -> str:
    """Name what a baseline's agreement with itself depends on."""
    config = plan.config
    return repr(
        (
            plan.base_commit,
            plan.python,
            key,
            config.challenges[key],
            config.environment,
            config.sandbox,
        )
    )
