"""`python -m ouroboros`: the console script for those who have none on PATH.

`python -m` puts the working directory first on `sys.path`. A target repository with a folder
called `rpc` (an ordinary name) would then run inside Ouroboros before any of its guards. So the
first act is to drop that entry, unless this very package was loaded from it.
"""

import os
import sys


def _drop_working_directory() -> None:
    home = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120 - pathlib is not imported yet, on purpose
    if sys.path and not sys.flags.safe_path:
        first = os.path.realpath(sys.path[0] or os.curdir)
        if first == os.path.realpath(os.curdir) and first != home:
            del sys.path[0]


if __name__ == "__main__":
    _drop_working_directory()
    from ouroboros.cli import main

    main()
