"""Files that run inside the sandbox; never imported by the engine."""
