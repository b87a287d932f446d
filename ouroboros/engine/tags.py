"""Tags for versions, by choice: a name in git for every promoted state.

A tag is a convenience: it is set behind the move, again at every start where it is missing, and one
that cannot be set is an alert and nothing worse. No tag is ever moved.
"""

from ouroboros.engine.core import Core
from ouroboros.errors import MachineError, TargetError


class Tagger:
    """Sets the tags that are missing."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._done: set[int] = set()

    async def catch_up(self) -> None:
        """Tag every version that has none yet; each is tried once in an engine's life."""
        core = self._core
        pattern = core.config.config.target.tag
        if not pattern:
            return
        for version in core.state.versions:
            if version.number in self._done:
                continue
            self._done.add(version.number)
            name = pattern.replace("{version}", str(version.number))
            try:
                await core.git(core.deps.repository.tag, name, version.commit)
            except (TargetError, MachineError) as error:
                await core.alert("tag_failed", "warning", str(error))
