"""Programs of ours that run inside the sandbox; never imported by the engine, apart from tables."""
