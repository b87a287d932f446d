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

_FD = "OUROBOROS_RESULT_FD"
_KEY_SIZE = 64


def write(record: Any) -> None:
    """Send one record; without a channel there is nobody to tell."""
    fd = int(os.environ.get(_FD, "-1"))
    if fd < 0:
        return
    data = json.dumps(record).encode() + b"\n"
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError:
        pass  # a subprocess does not have the channel


def private() -> Any:
    """Take the channel for this process alone, and return the function that sends a record.

    The key of the proofs comes on standard input, which is empty for everybody afterwards. No
    child gets the descriptor, no name leads to it, and what is written to it by anybody else breaks
    the chain of proofs. All functions are bound now, before any code of the target could put
    others in their place.
    """
    import hashlib
    import itertools

    fd = int(os.environ.pop(_FD, "-1"))
    if fd < 0:
        return lambda _: None
    key = os.read(0, _KEY_SIZE)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.set_inheritable(fd, False)
    owner, count = os.getpid(), itertools.count()
    getpid, dumps, proof, send = os.getpid, json.JSONEncoder().encode, hashlib.blake2b, os.write

    def tell(record: Any) -> None:
        if getpid() != owner:
            return  # a forked child is not the test run
        text = dumps(record).encode()
        begin = proof(b"%d " % next(count) + text, key=key, digest_size=16).hexdigest()
        data = begin.encode() + b" " + text + b"\n"
        try:
            while data:
                data = data[send(fd, data) :]
        except OSError:
            pass  # somebody closed it; the other side misses the end

    return tell


def relative(file: Any) -> str:
    """Return the path of a file of the tree relative to it, or nothing."""
    tree = os.path.realpath(os.environ.get("OUROBOROS_TREE", "/nonexistent")) + os.sep
    path = os.path.realpath(str(file)) if file else ""
    return path[len(tree) :] if path.startswith(tree) else ""


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
