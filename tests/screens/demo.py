"""The cockpit over a scripted engine that goes on by itself: `python -m tests.screens.demo`.

Options: `ascii`, `evil` (foreign text everywhere), `flaky` (the engine goes away now and then).
"""

import asyncio
import sys
import time

from ouroboros.model import events as ev
from ouroboros.model.progress import Progress
from ouroboros.model.verdict import Decision, Outcome
from tests.screens.scripted import (
    GOOD_CHECKS,
    NOW,
    SUPERVISED,
    ScriptedEngine,
    commit,
    comparison,
    evaluation,
    verdict,
)
from tui.app import Cockpit

STEP_S = 0.4


async def live(engine: ScriptedEngine, *, flaky: bool) -> None:
    """Let candidates come and be evaluated, one after the other."""
    number = 6
    while True:
        name = f"c{number}"
        engine.to_evaluating(name, f"idea number {number}")
        for done in range(1, 41):
            await asyncio.sleep(STEP_S)
            wide = 0.2 / done
            engine.tell(
                Progress(
                    candidate=name,
                    stage="confirm:tokenize",
                    done=done,
                    total=40,
                    comparison=comparison(
                        -0.05 - wide / 3,
                        pairs=done,
                        lower=-0.05 - wide,
                        upper=-0.05 + wide,
                        outcome=Outcome.INCONCLUSIVE if wide > 0.05 else Outcome.IMPROVED,
                    ),
                ),
            )
            if flaky and done == 10:
                engine.drop()
                await asyncio.sleep(6)
                engine.back()
        done_evaluation = evaluation(commit("base"), commit(name), *GOOD_CHECKS)
        engine.emit(ev.Evaluated(candidate=name, evaluation=done_evaluation))
        said = verdict(Decision.HOLD, SUPERVISED, comparisons=(comparison(-0.05),))
        engine.emit(ev.Held(candidate=name, verdict=said, expires_ns=engine.clock() + 10**14))
        number += 1


class Demo(Cockpit):
    """The cockpit with its own engine."""

    engine: ScriptedEngine
    flaky = False
    goes_on = True

    def on_mount(self) -> None:
        super().on_mount()
        if self.goes_on:
            self.run_worker(live(self.engine, flaky=self.flaky))


def main() -> None:
    began = time.time_ns()

    def clock() -> int:
        return NOW + time.time_ns() - began

    if "evil" in sys.argv:
        from tests.screens.test_screens_live import evil_engine

        engine = evil_engine()
    else:
        engine = ScriptedEngine().story()
    engine.clock = clock
    app = Demo(engine.connect, ascii_only="ascii" in sys.argv, clock_ns=clock)
    app.engine = engine
    app.flaky = "flaky" in sys.argv
    app.goes_on = "evil" not in sys.argv
    app.run()


if __name__ == "__main__":
    main()
