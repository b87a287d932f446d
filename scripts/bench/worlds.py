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

import random
import statistics
from collections.abc import Callable, Iterator, Sequence
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


FULL = Size(5, 1000, 3, (0.01, 0.02, 0.03, 0.04), 300, 200, exact=True)
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


def simulate(rows: Rows, size: Size, seed: int, judge: ours.Judge) -> Found:
    """Simulate everything."""
    return Found(
        discoveries(rows, size, seed, judge),
        ratchets(rows, size, seed, judge),
        tickets(rows, size, seed, judge),
    )


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


def discoveries(rows: Rows, size: Size, seed: int, judge: ours.Judge) -> list[Discoveries]:
    """Give the same candidates to every rule."""
    made = []
    for name, start in streams(judge).items():
        worlds = [_world(rows, size, f"{seed}:{number}", start()) for number in range(size.worlds)]
        accepted = [[e for e, yes, _ in world if yes] for world in worlds]
        made.append(
            Discoveries(
                rule=name,
                accepted=statistics.fmean(len(a) for a in accepted),
                false=statistics.fmean(sum(e >= 0 for e in a) for a in accepted),
                share=statistics.fmean(sum(e >= 0 for e in a) / max(1, len(a)) for a in accepted),
                beyond=statistics.fmean(sum(e > MARGIN for e in a) for a in accepted),
                found=statistics.fmean(sum(e < 0 for e in a) for a in accepted),
                gains=statistics.fmean(sum(e < 0 for e, _, _ in world) for world in worlds),
                runs=statistics.fmean(runs for world in worlds for _, _, runs in world),
                total=sum(len(a) for a in accepted),
            )
        )
    return made


def _world(rows: Rows, size: Size, seed: str, stream: Stream) -> list[tuple[float, bool, int]]:
    found = []
    for number, effect in enumerate(effects(size, seed), 1):
        pairs = recorded.World(rows, f"{seed}:{number}").pairs(1 + effect)
        found.append((effect, *stream(number, pairs)))
    return found


# --- ratchet ------------------------------------------------------------------------------------


def ratchets(rows: Rows, size: Size, seed: int, judge: ours.Judge) -> list[Ratchet]:
    """Let every rule accept small losses."""
    config = ours.configured("accept_neutral = true")
    single = rivals.rules()["one run each, 5 % (seed)"]

    def seeds(world: recorded.World, head: float, step: float) -> tuple[bool, int]:
        answer = single(world.pairs(head * (1 + step), head))
        return answer.outcome is not Outcome.REGRESSED, answer.runs

    def alone(world: recorded.World, head: float, step: float) -> tuple[bool, int]:
        answer = judge.verdict(config, world.pairs(head * (1 + step), head))
        return answer.outcome in PASSES, answer.runs

    def anchored(world: recorded.World, head: float, step: float) -> tuple[bool, int]:
        new = head * (1 + step)
        anchor = world.pairs(new) if head != 1 else None  # the anchor is the head itself
        answer = judge.verdict(config, world.pairs(new, head), anchor=anchor)
        return answer.outcome in PASSES, answer.runs

    rules = {
        "one run each, 5 % (seed)": seeds,
        "ours, against the head alone": alone,
        "ours, with the anchor": anchored,
    }
    made = []
    for name, rule in rules.items():
        for step in size.steps:
            ends = []
            for number in range(size.ratchets):
                head, accepted, runs = 1.0, 0, 0
                for candidate in range(size.length):
                    world = recorded.World(rows, f"{seed}:{step}:{number}:{candidate}")
                    yes, took = rule(world, head, step)
                    runs += took
                    if yes:
                        head, accepted = head * (1 + step), accepted + 1
                ends.append((head, accepted, runs / size.length))
            heads, counts, each = zip(*ends, strict=True)
            mean = statistics.fmean
            made.append(Ratchet(name, step, max(heads), mean(counts), mean(each)))
    return made


# --- tickets ------------------------------------------------------------------------------------

AGAIN = 20
ANEW, ANEW_WHOLE = "ours, anew: screening", "ours, anew: confirmed"
CONTINUED = "ours, continued: screening"


def tickets(rows: Rows, size: Size, seed: int, judge: ours.Judge) -> list[Tickets]:
    """Propose the same ideas again and again."""
    own = ours.configured()
    screening, whole = judge.screening(own), judge.whole(own)
    won = dict.fromkeys((ANEW, ANEW_WHOLE, CONTINUED), 0)
    for idea in range(size.ideas):
        worlds = [recorded.World(rows, f"{seed}:{idea}:{k}").pairs(1.0) for k in range(AGAIN)]
        won[ANEW] += any(screening(w).outcome is Outcome.IMPROVED for w in worlds)
        won[ANEW_WHOLE] += any(whole(w).outcome is Outcome.IMPROVED for w in worlds)
        prior: list[Pair] = []
        won[CONTINUED] += any(judge.continued(prior, w) is Outcome.IMPROVED for w in worlds)
    return [Tickets(rule, AGAIN, count, size.ideas) for rule, count in won.items()]


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
        if r.rule == "ours, with the anchor":
            text = f"ratchet of {r.step:+.0%}: head behind the anchor"
            made.append(table.Row(text, "%", 100 * (r.head - 1), 100 * MARGIN))
    for t in found.tickets:
        if t.rule == CONTINUED and t.ideas:
            text = f"idea proposed {t.proposed} times, continued: ever improved"
            limit = 100 * binomial.three_sigma(0.05, t.ideas)
            made.append(table.Row(text, "%", 100 * t.succeeded / t.ideas, limit, samples=t.ideas))
    return made
