"""The cockpit: a Textual screen that attaches to a running engine over JSON-RPC."""

OWNER = "ouroboros-daemon"
"""Marker read at engine start: another distribution may ship a package called `tui` too."""
