"""What the screen says of a commit that was built: gathers what it reads, decides nothing.

Used twice: before a candidate is applied, and again when it was put on a head that moved, since
the same lines can mean something else among other files (a name that became protected, a module
that now shadows one).
"""

import asyncio

from ouroboros.engine.core import Core
from ouroboros.evaluation.screen import SOURCE_LIMIT, SOURCES_LIMIT, screen
from ouroboros.model.proposal import Mark
from ouroboros.vcs.values import Built


async def marks_of(core: Core, built: Built, diff: str) -> tuple[Mark, ...]:
    """Return the marks of a candidate commit against its base, under the configuration in force."""
    repository = core.deps.repository
    modes = await core.git(repository.modes, built.base, built.commit)
    sources = await core.git(
        repository.sources, built.base, built.commit, limit=SOURCE_LIMIT, total=SOURCES_LIMIT
    )
    tracked = await core.git(repository.files, built.base)
    # In a thread: to read a large file as a syntax tree takes longer than a frame of a screen.
    return await asyncio.to_thread(
        screen, diff, built.files, modes, sources, config=core.config.config, tracked=tracked
    )
