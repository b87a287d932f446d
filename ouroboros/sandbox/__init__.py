"""Containment: one `Command` in, one `Outcome` out, and nothing left behind."""

from ouroboros.sandbox.command import HARNESS, RESULT_FD, TREE, Command, Ending, Outcome
from ouroboros.sandbox.drop import entrust
from ouroboros.sandbox.meter import Meter
from ouroboros.sandbox.runner import Sandbox

__all__ = [
    "HARNESS",
    "RESULT_FD",
    "TREE",
    "Command",
    "Ending",
    "Meter",
    "Outcome",
    "Sandbox",
    "entrust",
]
