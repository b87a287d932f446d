"""What single verdicts add up to: many candidates, small losses, and ideas that return. Simulated.

**Discoveries.** Of the candidates of a world 80 % change nothing, 8 % are better by 3 to 15 % and
12 % worse by 2 to 20 %: an invented mix, so that the figures are orders of magnitude. A discovery
is false where nothing is better.

**Ratchet.** Every candidate is truly worse by the same small step, and what is proven to be within
the margin is accepted. Against the head alone each step may pass; the anchor bounds their sum.

**Tickets.** An idea that changes nothing is proposed again and again. Measured anew each time it is
a lottery; continued, all its pairs are one test.

The noise is that of recorded pairs, the rules are the product's own objects (`ours.py`).
"""

import itertools
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import NamedTuple

import binomial
import ours
import pool as recorded
import rivals
import table

from ouroboros.governor import budget
from ouroboros.model.evaluation import Pair
from ouroboros.model.verdict import Outcome

MARGIN = 0.05
PASSES = (Outcome.IMPROVED, Outcome.NEUTRAL)


class Size(NamedTuple):
    """How much is simulated."""

    worlds: int
    candidates: int
    ratchets: int
    steps: tuple[float, ...]
    length: int
    ideas: int
    exact: bool
    """Whether targets are met without an allowance for the few trials."""


FULL = Size(3, 1000, 2, (0.01, 0.02, 0.03, 0.04), 300, 100, exact=True)
QUICK = Size(1, 200, 1, (0.03,), 100, 20, exact=False)


class Discoveries(NamedTuple):
    """What one rule accepted, mean of the worlds."""

    rule: str
    accepted: float
    false: float
    share: float
    """False ones among the accepted, mean of the worlds' shares."""
    beyond: float
    """Accepted although worse than the margin."""
    found: float
    gains: float
    runs: float
    """Of a candidate."""
    total: int
    """Accepted in all worlds together."""


class Ratchet(NamedTuple):
    """Where the head ended, as a multiple of the anchor's cost; the worst of the worlds."""

    rule: str
    step: float
    head: float
    accepted: float
    runs: float


class Tickets(NamedTuple):
    """How many ideas that change nothing succeeded at least once."""

    rule: str
    proposed: int
    """How often each of them was."""
    succeeded: int
    ideas: int


class Found(NamedTuple):
    """All that was simulated."""

    discoveries: list[Discoveries]
    ratchets: list[Ratchet]
    tickets: list[Tickets]


Rows = Sequence[tuple[recorded.Run, recorded.Run]]
Stream = Callable[[int, Iterator[Pair]], tuple[bool, int]]
"""Number of the candidate (from 1) and its pairs in; whether it is accepted, and its runs, out."""


class Scene(NamedTuple):
    """Where simulations play."""

    rows: Rows
    size: Size
    seed: int
    judge: ours.Judge


def simulate(scene: Scene, jobs: int = 1) -> Found:
    """Simulate everything; the figures do not depend on how many processes."""
    rules = list(streams(scene.judge))
    turns = list(itertools.product(RATCHETS, scene.size.steps))
    tasks: list[Callable[[], Discoveries | Ratchet | Tickets]] = [
        *(partial(discover, scene, name) for name in rules),
        *(partial(ratchet, scene, name, step) for name, step in turns),
        *(partial(tickets, scene, name) for name in TICKETS),
    ]
    if jobs == 1:
        made = [task() for task in tasks]
    else:
        with ProcessPoolExecutor(jobs) as processes:
            made = list(processes.map(_do, tasks))
    return Found(
        [one for one in made if isinstance(one, Discoveries)],
        [one for one in made if isinstance(one, Ratchet)],
        [one for one in made if isinstance(one, Tickets)],
    )


def _do(task: Callable[[], Discoveries | Ratchet | Tickets]) -> Discoveries | Ratchet | Tickets:
    return task()


# --- discoveries --------------------------------------------------------------------------------


def effects(size: Size, seed: str) -> list[float]:
    """Draw what the candidates of one world truly do to the cost."""
    draw = random.Random(seed)  # noqa: S311 - reproducible

    def one() -> float:
        kind = draw.random()
        if kind < 0.80:
            return 0.0
        return -draw.uniform(0.03, 0.15) if kind < 0.88 else draw.uniform(0.02, 0.20)

    return [one() for _ in range(size.candidates)]


def streams(judge: ours.Judge) -> dict[str, Callable[[], Stream]]:
    """Return the rules, each made anew for a world."""
    all_ = rivals.rules()
    own = ours.configured()
    return {
        "one run each, 5 % (seed)": lambda: _stateless(all_["one run each, 5 % (seed)"], PASSES),
        "Mann-Whitney n=20": lambda: _stateless(all_["Mann-Whitney n=20"], PASSES[:1]),
        ours.SCREENING: lambda: _stateless(judge.screening(own), PASSES[:1]),
        ours.WHOLE: lambda: _stateless(judge.whole(own), PASSES[:1]),
        ours.E_LOND: lambda: _e_lond(judge),
    }


def _stateless(rule: rivals.Rule, accepts: Sequence[Outcome]) -> Stream:
    def answer(_: int, pairs: Iterator[Pair]) -> tuple[bool, int]:
        given = rule(pairs)
        return given.outcome in accepts, given.runs

    return answer


def _e_lond(judge: ours.Judge) -> Stream:
    config = ours.configured('budget.fdr = "e-lond"')
    found = 0

    def answer(number: int, pairs: Iterator[Pair]) -> tuple[bool, int]:
        nonlocal found
        level = budget.level(config.governor, test=number, discoveries=found)
        given = judge.verdict(config, pairs, level=level)
        found += given.outcome is Outcome.IMPROVED
        return given.outcome is Outcome.IMPROVED, given.runs

    return answer


def discover(scene: Scene, name: str) -> Discoveries:
    """Give all candidates to one rule; every rule gets the same."""
    start, seed, mean = streams(scene.judge)[name], scene.seed, statistics.fmean
    worlds = [_world(scene, f"{seed}:{n}", start()) for n in range(scene.size.worlds)]
    accepted = [[e for e, yes, _ in world if yes] for world in worlds]
    return Discoveries(
        rule=name,
        accepted=mean(len(a) for a in accepted),
        false=mean(sum(e >= 0 for e in a) for a in accepted),
        share=mean(sum(e >= 0 for e in a) / max(1, len(a)) for a in accepted),
        beyond=mean(sum(e > MARGIN for e in a) for a in accepted),
        found=mean(sum(e < 0 for e in a) for a in accepted),
        gains=mean(sum(e < 0 for e, _, _ in world) for world in worlds),
        runs=mean(runs for world in worlds for _, _, runs in world),
        total=sum(len(a) for a in accepted),
    )


def _world(scene: Scene, seed: str, stream: Stream) -> list[tuple[float, bool, int]]:
    found = []
    for number, effect in enumerate(effects(scene.size, seed), 1):
        pairs = recorded.World(scene.rows, f"{seed}:{number}").pairs(1 + effect)
        found.append((effect, *stream(number, pairs)))
    return found


# --- ratchet ------------------------------------------------------------------------------------

SEED, ALONE, ANCHORED = (
    "one run each, 5 % (seed)",
    "ours, against the head alone",
    "ours, with the anchor",
)
RATCHETS = (SEED, ALONE, ANCHORED)


def ratchet(scene: Scene, name: str, step: float) -> Ratchet:
    """Let one rule accept small losses."""
    config, single = ours.configured("accept_neutral = true"), rivals.rules()[SEED]

    def accepts(world: recorded.World, head: float) -> tuple[bool, int]:
        new = head * (1 + step)
        pairs = world.pairs(new, head)
        if name == SEED:
            answer = single(pairs)
            return answer.outcome is not Outcome.REGRESSED, answer.runs
        bounded = name == ANCHORED and head != 1  # at first the anchor is the head itself
        anchor = world.pairs(new) if bounded else None
        answer = scene.judge.verdict(config, pairs, anchor=anchor)
        return answer.outcome in PASSES, answer.runs

    ends = []
    for number in range(scene.size.ratchets):
        head, accepted, runs = 1.0, 0, 0
        for candidate in range(scene.size.length):
            world = recorded.World(scene.rows, f"{scene.seed}:{step}:{number}:{candidate}")
            yes, took = accepts(world, head)
            runs += took
            if yes:
                head, accepted = head * (1 + step), accepted + 1
        ends.append((head, accepted, runs / scene.size.length))
    heads, counts, each = zip(*ends, strict=True)
    return Ratchet(name, step, max(heads), statistics.fmean(counts), statistics.fmean(each))


# --- tickets ------------------------------------------------------------------------------------

AGAIN = 20
ANEW, ANEW_WHOLE = "ours, anew: screening", "ours, anew: confirmed"
CONTINUED = "ours, continued: screening"
TICKETS = (ANEW, ANEW_WHOLE, CONTINUED)


def tickets(scene: Scene, name: str) -> Tickets:
    """Propose the same ideas again and again."""
    judge, own, won = scene.judge, ours.configured(), 0
    rule = judge.whole(own) if name == ANEW_WHOLE else judge.screening(own)
    for idea in range(scene.size.ideas):
        seeds = [f"{scene.seed}:{idea}:{number}" for number in range(AGAIN)]
        worlds = [recorded.World(scene.rows, seed).pairs(1.0) for seed in seeds]
        if name == CONTINUED:
            prior: list[Pair] = []
            won += any(judge.continued(prior, w) is Outcome.IMPROVED for w in worlds)
        else:
            won += any(rule(w).outcome is Outcome.IMPROVED for w in worlds)
    return Tickets(name, AGAIN, won, scene.size.ideas)


# --- tables -------------------------------------------------------------------------------------


def lines(found: Found) -> list[str]:
    """Return all tables."""
    wide = max(len(d.rule) for d in (*found.discoveries, *found.ratchets))
    heads = ("accepted", "false", "share", "beyond 5%", "gains found", "runs each")
    made = ["candidates: 80 % nothing, 8 % better by 3-15 %, 12 % worse by 2-20 %; mean of worlds"]
    made.append(_line(wide, "rule", heads))
    for d in found.discoveries:
        gains = f"{d.found:.1f} of {d.gains:.1f}"
        columns = (f"{d.accepted:.1f}", f"{d.false:.1f}", f"{100 * d.share:.1f} %")
        made.append(_line(wide, d.rule, (*columns, f"{d.beyond:.1f}", gains, f"{d.runs:.0f}")))
    made += ["", "ratchet: every candidate is worse by one step; head as a multiple of the anchor"]
    made.append(_line(wide, "rule", ("step", "worst head", "accepted", "runs each")))
    for r in found.ratchets:
        columns = (f"{r.step:+.0%}", f"x{r.head:.2f}", f"{r.accepted:.1f}", f"{r.runs:.0f}")
        made.append(_line(wide, r.rule, columns))
    made += ["", f"tickets: each idea changes nothing and is proposed {AGAIN} times"]
    made.append(_line(wide, "rule", ("ideas", "ever improved")))
    for t in found.tickets:
        share = f"{100 * t.succeeded / max(1, t.ideas):.1f} %"
        made.append(_line(wide, t.rule, (str(t.ideas), share)))
    return [*made, ""]


def _line(wide: int, rule: str, columns: Sequence[str]) -> str:
    return f"{rule:{wide}} {' '.join(text.rjust(13) for text in columns)}".rstrip()


def targets(found: Found, *, exact: bool) -> list[table.Row]:
    """Return the figures that have a target.

    Args:
        found: what was simulated.
        exact: without an allowance for few trials.
    """
    made = []
    for d in found.discoveries:
        limit = {ours.WHOLE: 0.02, ours.E_LOND: 0.05}.get(d.rule)
        if limit is not None:
            allowed = limit if exact else binomial.three_sigma(limit, max(1, d.total))
            text = f"{d.rule}: false among accepted"
            made.append(table.Row(text, "%", 100 * d.share, 100 * allowed, samples=d.total))
            made.append(table.Row(f"{d.rule}: accepted beyond the margin", "", d.beyond, 0))
    for r in found.ratchets:
        if r.rule == ANCHORED:
            text = f"ratchet of {r.step:+.0%}: head behind the anchor"
            made.append(table.Row(text, "%", 100 * (r.head - 1), 100 * MARGIN))
    for t in found.tickets:
        if t.rule == CONTINUED and t.ideas:
            text = f"idea proposed {t.proposed} times, continued: ever improved"
            limit = 100 * binomial.three_sigma(0.05, t.ideas)
            made.append(table.Row(text, "%", 100 * t.succeeded / t.ideas, limit, samples=t.ideas))
    return made
