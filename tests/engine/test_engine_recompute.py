"""Every verdict follows from the entries before it, bit for bit; what was altered is found."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from engine_world import FASTER, OTHER, World, evaluation, git, make_diff, reach
from msgspec.structs import replace

from ouroboros.engine.api import Submission
from ouroboros.engine.daemon import Engine
from ouroboros.errors import NotFoundError
from ouroboros.evaluation.plan import Plan
from ouroboros.governor.recompute import Recomputation
from ouroboros.ledger.evidence import Evidence
from ouroboros.ledger.store import Store
from ouroboros.model import events as ev
from ouroboros.model.entry import Stored
from ouroboros.model.evaluation import Evaluation
from ouroboros.model.oversight import Recomputed
from ouroboros.model.phase import Phase
from ouroboros.model.verdict import Decision

BY, ANN = "uid:tester", "uid:ann"
SETTLED = (Phase.HELD, Phase.REJECTED, Phase.PROMOTED, Phase.ERRORED)
THIRD = make_diff("m.py", "return x * 2", "return 2 * x")


async def settle(engine: Engine, diff: str) -> str:
    name = await engine.submit(Submission(diff=diff, title="t"), actor=BY)
    await reach(engine, name, *SETTLED)
    return name


def entries(world: World) -> list[Stored]:
    with Store.open(world.state / "ledger.sqlite", read_only=True) as store:
        return list(store.entries())


def recomputed(world: World, stored: list[Stored], *, only: str = "") -> list[Recomputed]:
    again = Recomputation(Evidence(world.state / "evidence").get, candidate=only)
    return [found for found in map(again.take, stored) if found is not None]


async def a_life(world: World) -> Engine:
    """Live through what changes verdicts: no gain, failures, promotions, limits, a restart."""
    world.configure("autonomous")
    world.limit("promotions_per_day = 1")
    engine = await world.start()
    world.executor.answer = lambda plan: evaluation(plan, effect=0.0)
    await settle(engine, OTHER)
    world.executor.answer = lambda plan: evaluation(plan, status="failed", cause="no")
    await settle(engine, THIRD)
    world.executor.answer = evaluation
    await engine.set_limits({"governor.max_pairs": 50}, actor=ANN, reason="r")
    assert engine.candidate(await settle(engine, FASTER)).phase is Phase.PROMOTED
    await world.stop(engine)
    engine = await world.start()
    now = (world.root / "m.py").read_text()
    name = await settle(engine, make_diff("m.py", "x * 2", "2 * x", before=now))
    codes = [r.code for r in engine.candidate(name).reasons]
    assert codes == ["improved", "promotion_limit"]
    (world.root / "other.py").write_text("x = 1\n")
    git(world.root, "add", "other.py")
    git(world.root, "commit", "-q", "-m", "moved")
    c = engine.candidate(name)
    await engine.set_limits({"governor.mode": "supervised"}, actor=ANN, reason="r")
    await engine.approve(name, actor=ANN, commit=c.commit, reason="")
    await reach(engine, name, Phase.HELD)  # evaluated again, on the head that moved
    assert engine.candidate(name).attempt == 2
    return engine


async def test_a_whole_life_is_recomputed_bit_for_bit(world: World) -> None:
    engine = await a_life(world)
    verdicts = await engine.recompute("")
    assert [(v.outcome, v.text) for v in verdicts] == [("same", "")] * 5
    assert [v.candidate for v in verdicts] == ["c1", "c2", "c3", "c4", "c4"]
    assert [v.seq for v in await engine.recompute("c4")] == [v.seq for v in verdicts[3:]]
    assert recomputed(world, entries(world)) == list(verdicts)


async def test_answers_amid_promotions_and_changing_limits_are_recomputed(world: World) -> None:
    """Whatever happens at once, a verdict rests on exactly the entries before its own."""
    world.configure("autonomous", "max_in_flight = 8")
    source = "".join(f"def f{n}(x):\n    return x + {n}\n\n\n" for n in range(8))
    (world.root / "m.py").write_text(source)
    git(world.root, "commit", "-q", "-am", "many")
    engine = await world.start()
    names = [
        await engine.submit(
            Submission(
                diff=make_diff("m.py", f"x + {n}\n", f"{n} + x\n", before=source),
                title="t",
                proposer=f"p{n % 2}",
            ),
            actor=BY,
        )
        for n in range(8)
    ]
    for round_ in range(12):
        limit = "day" if round_ % 2 else "proposer"
        change: dict[str, ev.Setting] = {f"governor.limits.promotions_per_{limit}": 1 + round_}
        await engine.set_limits(change, actor=ANN, reason="r")
        await asyncio.sleep(0)
    for name in names:
        await reach(engine, name, *SETTLED, timeout_s=60)
    verdicts = await engine.recompute("")
    assert len(verdicts) >= 8
    assert {(v.outcome, v.text) for v in verdicts} == {("same", "")}


Alter = Callable[[Any], Any]


def altered(stored: list[Stored], kind: type, change: Alter, *, which: int = -1) -> list[Stored]:
    """Return the entries with one event changed, as somebody who rewrote the file would."""
    place = [i for i, s in enumerate(stored) if isinstance(s.entry.event, kind)][which]
    one = stored[place]
    event = change(one.entry.event)
    return [
        *stored[:place],
        replace(one, entry=replace(one.entry, event=event)),
        *stored[place + 1 :],
    ]


def in_verdict(**changes: Any) -> Alter:
    return lambda event: replace(event, verdict=replace(event.verdict, **changes))


def first_comparison(**changes: Any) -> Alter:
    def change(event: Any) -> Any:
        first, *rest = event.verdict.comparisons
        return in_verdict(comparisons=(replace(first, **changes), *rest))(event)

    return change


def slower_pair(event: ev.Evaluated) -> ev.Evaluated:
    first, *rest = event.evaluation.series
    pair = first.pairs[0]
    slow = replace(pair, candidate=replace(pair.candidate, cpu_ns=pair.candidate.cpu_ns + 1))
    series = (replace(first, pairs=(slow, *first.pairs[1:])), *rest)
    return replace(event, evaluation=replace(event.evaluation, series=series))


def in_context(**changes: Any) -> Alter:
    return lambda event: replace(event, context=replace(event.context, **changes))


ALTERED: list[tuple[type, Alter, str]] = [
    (ev.Held, in_verdict(decision=Decision.ACCEPT), "decision"),
    (ev.Held, in_verdict(reasons=()), "reasons"),
    (ev.Held, in_verdict(wants_promotion=False), "wants_promotion"),
    (ev.Held, in_verdict(assurance="challenge"), "assurance"),
    (ev.Held, in_verdict(containment="a bunker"), "containment"),
    (ev.Held, first_comparison(change=-0.9), "comparisons[0].change"),
    (ev.Held, first_comparison(text="all is well"), "comparisons[0].text"),
    (ev.Held, lambda e: in_verdict(comparisons=e.verdict.comparisons[:1])(e), "comparisons"),
    (
        ev.Held,
        lambda e: in_verdict(moment=replace(e.verdict.moment, promotions=0))(e),
        "moment.promotions",
    ),
    (ev.Evaluated, slower_pair, "comparisons[0].lower"),
    (ev.EvaluationStarted, in_context(alpha_improve=0.5), "context.alpha_improve"),
    (ev.EvaluationStarted, in_context(test=1), "context.test"),
    (ev.EvaluationStarted, in_context(anchor="f" * 40), "context.anchor"),
]


@pytest.fixture
async def life(world: World) -> list[Stored]:
    await a_life(world)
    return entries(world)


async def test_what_was_altered_is_named(world: World, life: list[Stored]) -> None:
    for kind, change, field in ALTERED:
        found = recomputed(world, altered(life, kind, change), only="c4")[-1]
        assert (found.outcome, found.field) == ("differs", field), (kind, field, found)
        assert "recorded" in found.text
        assert "computed" in found.text


async def test_a_verdict_under_another_policy_is_found(world: World, life: list[Stored]) -> None:
    first = next(s.entry.event for s in life if isinstance(s.entry.event, ev.ConfigLoaded))
    change = in_verdict(policy=first.config_hash)
    found = recomputed(world, altered(life, ev.Held, change), only="c4")[-1]
    assert (found.outcome, found.field) == ("differs", "policy")
    assert "proposed under" in found.text


async def test_an_accept_that_stands_as_another_kind_is_found(
    world: World, life: list[Stored]
) -> None:
    def accepted(event: ev.Held) -> ev.Accepted:
        return ev.Accepted(candidate=event.candidate, verdict=event.verdict)

    found = recomputed(world, altered(life, ev.Held, accepted), only="c4")[-1]
    assert (found.outcome, found.field) == ("differs", "decision")
    assert "recorded as accepted" in found.text


async def test_an_older_rule_is_said_to_be_unknown(world: World, life: list[Stored]) -> None:
    found = recomputed(world, altered(life, ev.Held, in_verdict(rule="seq-e/2\x1b[2J")))[-1]
    assert found.outcome == "unknown_rule"
    assert "seq-e/2" in found.text
    assert "\x1b" not in found.text


async def test_a_policy_that_is_gone_is_said_to_be_missing(
    world: World, life: list[Stored]
) -> None:
    def gone(name: str) -> bytes:
        raise NotFoundError(f"There is no evidence {name}.")

    again = Recomputation(gone)
    found = [f for f in map(again.take, life) if f is not None]
    assert {f.outcome for f in found} == {"missing"}
    assert {f.field for f in found} == {"policy"}


async def test_a_policy_that_was_replaced_is_found(world: World, life: list[Stored]) -> None:
    lax = b"[governor]\nmax_degradation = 0.5\n[benchmarks.b]\ncommand = ['true']\n"
    again = Recomputation(lambda _: lax)
    found = [f for f in map(again.take, life) if f is not None]
    assert {(f.outcome, f.field) for f in found} == {("differs", "policy")}


async def test_a_start_that_is_gone_is_said_to_be_missing(world: World, life: list[Stored]) -> None:
    started = [s for s in life if isinstance(s.entry.event, ev.EvaluationStarted)][-1]
    again = Recomputation(Evidence(world.state / "evidence").get)
    found: list[Recomputed] = []
    for stored in life:
        if stored is started:
            again._started.pop("c4", None)
            again._state = _evaluating(again, stored)
            continue
        verdict = again.take(stored)
        if verdict is not None:
            found.append(verdict)
    assert (found[-1].outcome, found[-1].field) == ("missing", "context")


def _evaluating(again: Recomputation, stored: Stored) -> Any:
    from ouroboros.model.state import advance

    return advance(again._state, stored)


async def test_an_evaluation_that_cannot_be_compared_has_no_verdict(
    world: World, life: list[Stored]
) -> None:
    def unknown(event: ev.Evaluated) -> ev.Evaluated:
        series = tuple(replace(s, benchmark="gone") for s in event.evaluation.series)
        return replace(event, evaluation=replace(event.evaluation, series=series))

    found = recomputed(world, altered(life, ev.Evaluated, unknown), only="c4")[-1]
    assert (found.outcome, found.field) == ("differs", "decision")
    assert "no verdict follows" in found.text


async def test_it_outlives_json(world: World, life: list[Stored]) -> None:
    found = recomputed(world, life)
    assert msgspec.json.decode(msgspec.json.encode(found), type=list[Recomputed]) == found


def no_gain(plan: Plan) -> Evaluation:
    return evaluation(plan, effect=0.0)


async def test_continued_evidence_is_recomputed(world: World, engine: Engine) -> None:
    world.executor.answer = no_gain
    first = await settle(engine, FASTER)
    second = await settle(engine, FASTER)
    context = engine.candidate(second).context
    assert context is not None
    assert context.continues == first
    assert {v.outcome for v in await engine.recompute("")} == {"same"}
    assert any("evidence of c1" in line for p in (await engine.explain(second)).passages
               for line in p.lines)  # fmt: skip
