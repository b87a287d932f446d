"""How many people must say yes, and who they may be. Pure."""

from collections.abc import Sequence

from ouroboros.config import Config
from ouroboros.model.globs import matches
from ouroboros.model.proposal import FileChange


def reviewed(config: Config, files: Sequence[FileChange]) -> tuple[str, ...]:
    """Return the changed files that always need people."""
    return tuple(f.path for f in files if matches(f.path, config.governor.limits.reviewed))


def approvals_needed(config: Config, files: Sequence[FileChange]) -> int:
    """Return how many different people must approve a held candidate with these files."""
    limits = config.governor.limits
    if not reviewed(config, files):
        return limits.quorum
    return max(limits.quorum, limits.reviewed_quorum)


def same_person(one: str, other: str) -> bool:
    """Whether two actors are, as far as can be known, the same person.

    `uid:ann` and `token:ann` are: who has a name of his own on both doors is still one pair of
    eyes. The engine and proposers are nobody.
    """
    kind, _, name = one.partition(":")
    other_kind, _, other_name = other.partition(":")
    people = {"uid", "token"}
    return name == other_name and kind in people and other_kind in people
