"""Ouroboros: a daemon that improves a git repository by itself, and keeps people in control.

This package imports nothing at import time: `ouroboros --version` must stay cheap, and no room
may be reached by accident. Start at `ARCHITECTURE.md`.
"""

__version__ = "0.1.0"
