"""Runs every attempt to escape as the present user and, as root, once more as an ordinary user.

An ordinary user has no control groups to hand out, no file rights beside his own and a user
namespace in which he is nobody else than himself: another machine, as far as the sandbox goes. It
is run for real: rights are dropped for good before Python starts.

Exit code 1 if anything got out, if anything could not be found out, or if the second user's
run could not be made: nothing is ever skipped without saying so.
"""

import argparse
import asyncio
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

NEEDED = (3, 11)
MARKS = {"held": "held", "broken": "BROKEN", "error": "ERROR", "n/a": "n/a"}


class CannotError(Exception):
    """The run could not be made; says why and what to do."""


def main() -> int:
    """Make the runs, print them, and say how they went."""
    arguments = _arguments()
    if arguments.one:
        print(json.dumps(asyncio.run(_one(landlock=arguments.landlock))))
        return 0
    runs = []
    problem = ""
    more = ["--landlock"] if arguments.landlock else []
    try:
        become = _becoming(arguments.as_user)  # first, so that a wrong name costs no time
        runs.append(_told([sys.executable], "the present user", {}, more))
        if become is not None:
            runs.append(_as_user(*become, arguments.root, more))
    except CannotError as error:
        problem = str(error)
    ok = not problem and all(run["ok"] for run in runs)
    if arguments.json:
        print(json.dumps({"ok": ok, "problem": problem, "runs": runs}))
    else:
        _print(runs)
    if problem:
        print(f"error: {problem}", file=sys.stderr)
    return 0 if ok else 1


def _arguments() -> Any:
    parser = argparse.ArgumentParser(prog="scripts/escapes", description=__doc__.split("\n\n")[0])
    parser.add_argument("--as-user", metavar="NAME", help="the ordinary user (default: nobody)")
    parser.add_argument(
        "--landlock", action="store_true", help="as if no bubblewrap worked here: Landlock alone"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--root", type=Path, default=Path(), help=argparse.SUPPRESS)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


# --- one run, in a process of the user's own ----------------------------------------------------


async def _one(*, landlock: bool) -> dict[str, Any]:
    from ouroboros.config import Sandbox as Limits
    from ouroboros.sandbox import Sandbox, bwrap
    from ouroboros.sandbox.escapes import as_json, attempt_escapes

    if landlock:
        bwrap.candidates = list
    box = await Sandbox.open(Limits(allow_landlock=landlock))
    try:
        report = await attempt_escapes(
            box, python=sys.executable, home=Path.home(), everything=True
        )
        level = f"{box.level.backend} {box.level.version}, limits by {box.level.limits}"
    finally:
        await box.close()
    return {
        "uid": os.geteuid(),
        "python": sys.executable,
        "level": level,
        "summary": report.summary(),
        "ok": report.ok,
        **as_json(report),
    }


def _told(
    python: Sequence[str], how: str, env: dict[str, str], more: Sequence[str]
) -> dict[str, Any]:
    """Make one run in a process of its own, and read what it found.

    The program is given on standard input: this file may be out of that user's reach.
    """
    argv = [*python, "-I", "-", "--one", *more]
    _note(f"Trying as {how} ...")
    done = subprocess.run(
        argv,
        input=Path(__file__).read_bytes(),
        capture_output=True,
        check=False,
        env={**os.environ, **env},
        cwd="/",
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-600:]
        raise CannotError(f"The run as {how} failed: {said}")
    return {"user": how, **json.loads(done.stdout)}


# --- as an ordinary user ------------------------------------------------------------------------


def _becoming(name: str | None) -> tuple[pwd.struct_passwd, list[str]] | None:
    """Return the ordinary user, and the words that start a program as him; None unless root."""
    if os.geteuid() != 0:
        if name:
            raise CannotError("--as-user needs root: only root can become somebody else.")
        return None
    user = _user(name)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise CannotError("setpriv is not installed ('apt install util-linux').")
    return user, [
        *(setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"),
        *("--inh-caps=-all", "--bounding-set=-all", "--"),
        # setpriv itself keeps root's rights until it starts something: with them it would find an
        # interpreter in a folder that the user may not enter.
        *("/bin/sh", "-c", 'exec "$@"', "sh"),
    ]


def _as_user(
    user: pwd.struct_passwd, become: list[str], root: Path, more: Sequence[str]
) -> dict[str, Any]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ouroboros-user-")))
        folder.chmod(0o755)
        home = folder / "home"
        home.mkdir(mode=0o700)
        os.chown(home, user.pw_uid, user.pw_gid)
        env = {"HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "USER": user.pw_name}
        python = _python_for(become, folder, root)
        return _told([*become, python], f"{user.pw_name} (uid {user.pw_uid})", env, more)


def _user(name: str | None) -> pwd.struct_passwd:
    try:
        user = pwd.getpwnam(name or "nobody")
    except KeyError:
        raise CannotError(
            f"There is no user {name or 'nobody'}; name one with --as-user NAME."
        ) from None
    if user.pw_uid == 0:
        raise CannotError(f"{user.pw_name} is root; name an ordinary user with --as-user NAME.")
    return user


def _python_for(become: list[str], folder: Path, root: Path) -> str:
    """Return an interpreter with Ouroboros that the user can start; makes one if need be."""
    if _starts(become, sys.executable, "import ouroboros"):
        return sys.executable
    places = ("/usr/bin", "/usr/local/bin")
    names = ("python3", *(f"python3.{minor}" for minor in range(11, 20)))
    found = [Path(p, n) for p in places for n in names if Path(p, n).exists()]
    check = f"import sys; sys.exit(sys.version_info < {NEEDED})"
    base = next((str(p) for p in found if _starts(become, str(p), check)), None)
    if base is None:
        raise CannotError(
            f"{sys.executable} cannot be started by that user, and no Python 3.11 or newer was "
            f"found in {' or '.join(places)}. Install one ('apt install python3'), or put this "
            "environment where everybody can read it."
        )
    _note(f"{sys.executable} is out of that user's reach: installing into {folder} with {base} ...")
    venv = folder / "venv"
    _must([base, "-m", "venv", "--without-pip", str(venv)])
    python = str(venv / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    _must([*pip, "install", "--quiet", str(root)])
    _must(["chmod", "-R", "a+rX", str(venv)])
    if not _starts(become, python, "import ouroboros"):
        raise CannotError(f"{python}, made for that user, does not start as him.")
    return python


def _starts(become: list[str], python: str, code: str) -> bool:
    argv = [*become, python, "-I", "-c", code]
    return subprocess.run(argv, capture_output=True, check=False, cwd="/").returncode == 0


def _must(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, check=False, umask=0o022)
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()[-600:]
        raise CannotError(f"'{' '.join(argv)}' failed: {said}")


# --- telling ------------------------------------------------------------------------------------


def _print(runs: Sequence[dict[str, Any]]) -> None:
    columns = [run["user"] for run in runs]
    names = [row["name"] for row in runs[0]["rows"]] if runs else []
    left = max(map(len, names), default=0)
    print("  ".join(["attempt".ljust(left), *columns]))
    for number, name in enumerate(names):
        cells = [MARKS[run["rows"][number]["status"]] for run in runs]
        padded = [cell.ljust(len(head)) for cell, head in zip(cells, columns, strict=True)]
        print("  ".join([name.ljust(left), *padded]).rstrip())
    for run in runs:
        print(f"\n{run['user']}: {run['level']}, {run['python']}\n  {run['summary']}")
        for row in run["rows"]:
            if row["status"] in ("broken", "error"):
                print(f"  {MARKS[row['status']]} {row['name']}: {row['promise']}: {row['text']}")
                print(f"    -> {row['fix']}")
            if row["status"] == "n/a":
                print(f"  n/a {row['name']}: {row['text']}")


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
