"""What the governor may do now, as one value. Pure."""

from collections import Counter
from collections.abc import Collection

from ouroboros.config import Loaded, live_keys, parse, value_of
from ouroboros.governor.budget import level
from ouroboros.governor.circuit import circuit_of
from ouroboros.governor.context import unasked
from ouroboros.governor.freezes import freeze_end
from ouroboros.model.oversight import GovernorStatus, Limit
from ouroboros.model.state import State
from ouroboros.model.windows import moment_text


def status_of(
    state: State, loaded: Loaded, now_ns: int, *, waiting: Collection[str] = ()
) -> GovernorStatus:
    """Return limits, budgets and counts at one moment.

    Args:
        state: the ledger, folded.
        loaded: the policy in force.
        now_ns: UTC.
        waiting: accepted candidates that wait for the end of a freeze.
    """
    config = loaded.config
    governor = config.governor
    timezone = governor.limits.timezone
    frozen = freeze_end(state, governor.limits, now_ns)
    ordered = state.frozen if state.frozen and state.frozen.until_ns > now_ns else None
    ours = unasked(state, now_ns)
    return GovernorStatus(
        mode=governor.mode,
        policy=loaded.hash,
        limits=_limits(loaded),
        anchor=state.anchor,
        standing=state.standing,
        head=state.versions[-1].commit if state.versions else "",
        tests=state.tests,
        discoveries=state.discoveries,
        next_level=level(governor, test=state.tests + 1, discoveries=state.discoveries),
        promotions=len(ours),
        promotions_of=dict(sorted(Counter(c.proposer for c in ours).items())),
        circuit=circuit_of(state, config),
        noise=state.noise,
        frozen_until_ns=frozen,
        frozen_until=moment_text(frozen, timezone) if frozen else "",
        frozen_by=ordered.actor if ordered else "",
        frozen_reason=ordered.reason if ordered else "",
        waiting=tuple(sorted(waiting)),
        now_ns=now_ns,
    )


def _limits(loaded: Loaded) -> tuple[Limit, ...]:
    file = parse(loaded.source).config if loaded.overrides else loaded.config
    return tuple(
        Limit(
            key=key,
            value=value_of(loaded.config, key),
            overridden=key in loaded.overrides,
            file=value_of(file, key) if key in loaded.overrides else None,
        )
        for key in live_keys()
    )
