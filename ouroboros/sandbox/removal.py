"""Removing a folder that a hostile run has written to.

`shutil.rmtree` gives up on folders that are closed to us, and on trees that are nested deeper than
Python recurses or a path can be long; both take a run a millisecond to make. Here no path gets
long: a folder within a folder is moved to the top first. Stands on the standard library alone, for
the launcher; no process may be left that writes to the folder.
"""
# ruff: noqa: PTH101, PTH104, PTH106, PTH108 - plain strings: pathlib would double the start-up time

import contextlib
import os


def remove(folder: str) -> None:
    """Remove a folder and all that is in it; links are not followed. May be gone already.

    Raises:
        OSError: something cannot be removed.
    """
    doomed = [folder]
    with contextlib.suppress(FileNotFoundError):
        while doomed:
            _empty(doomed.pop(), folder, doomed)
        os.rmdir(folder)


def _empty(where: str, top: str, doomed: list[str]) -> None:
    os.chmod(where, 0o700)
    with os.scandir(where) as entries:
        listed = list(entries)
    for entry in listed:
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.path)
            continue
        os.chmod(entry.path, 0o700)  # who may not write to a folder may not move it
        up = f"{top}/.doomed-{os.urandom(8).hex()}"
        os.rename(entry.path, up)
        doomed.append(up)
    if where != top:
        os.rmdir(where)
