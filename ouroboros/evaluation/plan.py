"""What an evaluation is asked to do, as one value: same plan, same kind of evidence."""

from collections.abc import Callable

import msgspec

from ouroboros.config import Config
from ouroboros.model.evaluation import Pair, Purpose, Series, Stage
from ouroboros.model.verdict import Context

Journal = Callable[[str, str, Stage, int, Pair], None]
"""Takes candidate, name of the series, stage, number of the pair in its series (from 0, inherited
ones counted), and the pair, as soon as it is measured and before the next one is begun. Blocking,
called in a thread. What it raises ends the evaluation as an error."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an executor needs, and nothing it could use to change the outcome.

    Attributes:
        candidate: the candidate's id, for progress and for naming scratch folders.
        attempt: rises with each evaluation of the same candidate.
        repository: absolute path of the target's main work tree.
        base_commit: the baseline.
        candidate_commit: the candidate, a commit whose parent is `base_commit`.
        changed: paths that the candidate touches, relative to the tree.
        config: the configuration in force when the plan was made.
        python: absolute path of the target's interpreter.
        seed: of the coin that orders pairs; drawn by the engine, kept in the ledger's samples.
        purpose: what it is for.
        context: level of "improved", anchor, what is too noisy; None where nothing is known.
        prior: pairs to go on from: of an interrupted attempt, or (`inherited`) of the same idea.
    """

    candidate: str
    attempt: int
    repository: str
    base_commit: str
    candidate_commit: str
    changed: tuple[str, ...]
    config: Config
    python: str
    seed: int
    purpose: Purpose = Purpose.CANDIDATE
    context: Context | None = None
    prior: tuple[Series, ...] = ()
