"""JSON-RPC: the wire types, the methods, the server and the typed client of Ouroboros."""

OWNER = "ouroboros-daemon"
"""Marker read at engine start: another distribution may ship a package called `rpc` too."""
