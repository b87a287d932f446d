"""`governor.*` and `config.*`: the rules, and why something was decided."""

from typing import Any

from ouroboros.model.events import Setting
from ouroboros.model.insight import ConfigChange, ConfigCheck
from ouroboros.model.oversight import GovernorStatus, Recomputed
from ouroboros.model.snapshot import Explanation
from ouroboros.model.state import Anchor
from rpc.wire.base import Act, Ok, Request, Result


class GovernorStatusGet(Request[GovernorStatus], frozen=True, kw_only=True):
    """Return limits in force, budgets used, the anchor, and the total gain as measured."""

    method = "governor.status"
    result = GovernorStatus


class GovernorExplain(Request[Explanation], frozen=True, kw_only=True):
    """Return a verdict in words: why, with its numbers, and what would have changed it."""

    method = "governor.explain"
    result = Explanation
    id: str


class LimitsResult(Ok, frozen=True, kw_only=True):
    """`policy` is the hash of the policy in force now, `overrides` all that was changed so far."""

    policy: str
    overrides: dict[str, Setting]


class GovernorSetLimits(Act[LimitsResult], frozen=True, kw_only=True):
    """Change thresholds at run time, for candidates that are proposed from here on.

    `changes` maps dotted keys of `[governor]`, its tables and `[engine]` to values as in the file;
    null returns to what the file says. `reason` is required. `expect_config`: the policy you saw.
    """

    method = "governor.set_limits"
    result = LimitsResult
    role = "admin"
    changes: dict[str, Setting]
    reason: str
    expect_config: str = ""


class GovernorMoveAnchor(Act[Anchor], frozen=True, kw_only=True):
    """Put the anchor at a version: a number, a candidate's id, or `head` for the newest.

    `reason` is required. `expect_anchor`: the commit at which you saw it.
    """

    method = "governor.move_anchor"
    result = Anchor
    role = "admin"
    ref: str
    reason: str
    expect_anchor: str = ""


class GovernorFreeze(Act[Ok], frozen=True, kw_only=True):
    """Promote nothing until `until` (UTC ns, at most 366 days from now), beside the file's windows.

    Evaluations and rollbacks go on. Set again, it replaces the freeze that was set before.
    """

    method = "governor.freeze"
    result = Ok
    role = "operator"
    until: int
    reason: str = ""


class GovernorUnfreeze(Act[Ok], frozen=True, kw_only=True):
    """End the freeze that a human set; the windows of the file stay."""

    method = "governor.unfreeze"
    result = Ok
    role = "approver"
    reason: str = ""


class RecomputeResult(Result, frozen=True, kw_only=True):
    """Verdicts computed again from the ledger; `same` only where every one is."""

    same: bool
    verdicts: tuple[Recomputed, ...]


class GovernorRecompute(Request[RecomputeResult], frozen=True, kw_only=True):
    """Compute the verdicts of one candidate (empty: of all) again from the ledger's entries."""

    method = "governor.recompute"
    result = RecomputeResult
    waits = True
    id: str = ""


class ConfigResult(Result, frozen=True, kw_only=True):
    """The configuration in force: its hash, the file's text, and the effective values.

    `values` holds every option with the value in force. Durations and sizes are written as in the
    file (`"90s"`, `"512MiB"`), so that a value can be pasted back. `overrides` are the values that
    were changed at run time.
    """

    hash: str
    text: str
    values: dict[str, Any]
    overrides: dict[str, Setting] = {}  # noqa: RUF012 - msgspec copies it


class ConfigGet(Request[ConfigResult], frozen=True, kw_only=True):
    """Return the configuration in force."""

    method = "config.get"
    result = ConfigResult
    exact = True


class ConfigHistory(Request[tuple[ConfigChange, ...]], frozen=True, kw_only=True):
    """Return the newest changes of the configuration, newest first. `limit`: 1 to 500."""

    method = "config.history"
    result = tuple[ConfigChange, ...]
    limit: int = 50


class ConfigValidate(Request[ConfigCheck], frozen=True, kw_only=True):
    """Say whether `text` would be taken as `ouroboros.toml`, and which keys would change."""

    method = "config.validate"
    result = ConfigCheck
    text: str


REQUESTS: tuple[type[Request[Any]], ...] = (
    GovernorStatusGet,
    GovernorExplain,
    GovernorSetLimits,
    GovernorMoveAnchor,
    GovernorFreeze,
    GovernorUnfreeze,
    GovernorRecompute,
    ConfigGet,
    ConfigHistory,
    ConfigValidate,
)
"""In the order of the documentation."""
