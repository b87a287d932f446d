"""What a check is, and what it is told."""

from collections.abc import Callable

import msgspec

from ouroboros.cli.options import Settings
from ouroboros.cli.results import Check
from ouroboros.config import Config
from ouroboros.paths import Paths

OK, WARN, FAIL = "ok", "warn", "fail"


class Patient(msgspec.Struct, frozen=True, kw_only=True):
    """What the checks are about. `paths` None: there is no repository; `config`: it is unusable.

    `noise_seconds` is how long benchmarks may be run to see how much they scatter; `sandboxed`
    False: no sandbox can be started, so that nothing can be run.
    """

    settings: Settings
    noise_seconds: float
    paths: Paths | None = None
    config: Config | None = None
    sandboxed: bool = True


Checker = Callable[[Patient], Check]
"""Returns its finding; raises leaves of `OuroborosError`, which become one."""


def skipped(name: str) -> Check:
    """Return the finding of a check that has nothing to look at."""
    return Check(name=name, status=WARN, text="not checked: something above is missing")
