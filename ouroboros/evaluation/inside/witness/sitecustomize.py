"""Loaded at the start of every interpreter of an unmeasured benchmark run: reports what it loaded.

It steps out of the way: its folder leaves the path, and an environment's own `sitecustomize`, if
there is one, runs as it would have.
"""

# ruff: noqa: PTH100, PTH120 - runs at the start of the target's interpreter: quick to start

import atexit
import contextlib
import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))
_outer = os.path.dirname(_here)
sys.path.insert(0, _outer)
import _ouroboros_report  # type: ignore[import-not-found] # noqa: E402 - its folder is on the path only here

sys.path.remove(_outer)
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != _here]
atexit.register(lambda: _ouroboros_report.write(_ouroboros_report.modules()))
sys.modules.pop("sitecustomize", None)
with contextlib.suppress(ImportError):
    import sitecustomize  # type: ignore[import-not-found] # noqa: F401 - the environment's own
