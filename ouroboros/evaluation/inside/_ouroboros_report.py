"""Runs inside the sandbox, in the target's interpreter: what was loaded, over the private channel.

Everything in this folder is written for old interpreters too, imports only the standard library,
and is mounted outside of the evaluated tree. What it says is believed no further than the checks
on the other side go: it runs beside the code that it reports on.
"""

# ruff: noqa: PTH120 - runs in the target's interpreter: quick to start

import json
import os
import sys
from typing import Any


def write(record: Any) -> None:
    """Send one record; without a channel there is nobody to tell."""
    fd = int(os.environ.get("OUROBOROS_RESULT_FD", "-1"))
    if fd < 0:
        return
    data = json.dumps(record).encode() + b"\n"
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError:
        pass  # a subprocess does not have the channel


def modules() -> Any:
    """Return which file each imported module came from, those of the tree relative to it."""
    tree = os.path.realpath(os.environ.get("OUROBOROS_TREE", "/nonexistent")) + os.sep
    inside, outside = [], []
    for key, module in list(sys.modules.items()):
        space = getattr(module, "__dict__", None) or {}
        file = space.get("__file__")
        if not isinstance(file, str):
            continue
        spec = space.get("__spec__")
        name = getattr(spec, "name", key) if key == "__main__" else key
        path = os.path.realpath(file)
        if path.startswith(tree):
            inside.append([str(name), path[len(tree) :]])
        else:
            outside.append([str(name), path])
    stdlib = os.path.realpath(os.path.dirname(os.__file__))
    return {"kind": "modules", "inside": inside, "outside": outside, "stdlib": stdlib}
