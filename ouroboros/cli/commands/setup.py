"""`init`: look at a repository, write its `ouroboros.toml`, say what to do next."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ouroboros.cli.options import Command, Settings
from ouroboros.errors import ConfigError, MachineError

if TYPE_CHECKING:
    from ouroboros.cli.results import Found
    from ouroboros.cli.terminal import Cell


@click.command(cls=Command)
@click.option("--force", is_flag=True, help="Replace an ouroboros.toml that is there.")
@click.option("--dry-run", is_flag=True, help="Print the file instead of writing it.")
@click.pass_obj
def init_command(settings: Settings, *, force: bool, dry_run: bool) -> None:
    """Look at the repository and write a commented ouroboros.toml.

    Reads only; nothing of the repository is run.
    """
    from msgspec.structs import replace

    from ouroboros.cli import terminal
    from ouroboros.cli.reach import locate
    from ouroboros.cli.template import render
    from ouroboros.config import FILE_NAME, parse

    root = locate(settings).root
    file = root / FILE_NAME
    if file.exists() and not (force or dry_run):
        raise ConfigError(
            f"{file} exists already.",
            hint="Check it with 'ouroboros config check', or replace it with 'init --force'.",
        )
    found = _look(root)
    text = render(found)
    parse(text.encode(), origin=FILE_NAME)
    if not dry_run:
        _write(file, text)
        found = replace(found, written=str(file))
    if settings.json:
        terminal.data(found)
        return
    if dry_run:
        terminal.line(settings, text.rstrip("\n"))
    _print_found(settings, found, on_stderr=dry_run)


def _look(root: Path) -> "Found":
    """Return what is found.

    Raises:
        TargetError: not a repository with a work tree, no commits, or no branch.
        MachineError: no git.
    """
    from msgspec.structs import replace

    from ouroboros.cli.detect import look
    from ouroboros.vcs.repository import Repository

    repository = Repository.open(root)
    branch = repository.current_branch()
    found = look(root, branch)
    committed = set(repository.files(repository.head(branch)))
    loose = [b.file for b in found.benchmarks if b.ready and b.file not in committed]
    if not loose:
        return found
    text = f"Not committed yet: {', '.join(loose)}. The engine reads from the branch, so commit it."
    return replace(found, warnings=(*found.warnings, text))


def _write(file: Path, text: str) -> None:
    """Write the whole file or nothing.

    Raises:
        MachineError: no permission, no space.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=".ouroboros-", dir=file.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                out.write(text)
            umask = os.umask(0)
            os.umask(umask)
            Path(name).chmod(0o666 & ~umask)
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise MachineError(
            f"{file} cannot be written: {error.strerror}.",
            hint="Check permissions and free space, or look with 'ouroboros init --dry-run'.",
        ) from error


def _print_found(settings: Settings, found: "Found", *, on_stderr: bool) -> None:
    import sys

    from ouroboros.cli import terminal

    out = sys.stderr if on_stderr else sys.stdout
    terminal.fields(settings, _rows(found), out)
    for warning in found.warnings:
        terminal.note(settings, f"warning: {warning}", "warn")
    if not any(b.ready for b in found.benchmarks):
        terminal.note(
            settings,
            "warning: no benchmark was found. Without a benchmark nothing can be proven faster: "
            "write a script that calls your slow code a fixed number of times, and name it in "
            "[benchmarks.NAME] of ouroboros.toml.",
            "warn",
        )
    if found.written:
        _print_next(settings, found)


def _rows(found: "Found") -> list[tuple[str, "Cell"]]:
    from ouroboros.cli.words import plural

    command = " ".join(found.tests_command)
    ready = [f"{b.name}: {' '.join(b.command)}" for b in found.benchmarks if b.ready]
    proposed = [f"{c.name}: {c.call} (as a comment)" for c in found.challenges]
    others = [f"{b.name}: {b.file} (as a comment)" for b in found.benchmarks if not b.ready]
    return [
        ("repository", f"{found.root}, branch {found.branch}"),
        ("may change", ", ".join(found.paths)),
        (
            "tests",
            f"{found.framework} {command}".strip() + f" ({plural(found.test_files, 'file')})",
        ),
        ("benchmarks", "\n".join((*ready, *others)) or "none"),
        ("challenges", "\n".join(proposed) or "none proposed"),
        ("interpreter", found.python or "python3 from PATH"),
        ("PYTHONPATH", ", ".join(found.source_folders)),
        ("wrote", (found.written, "good")),
    ]


def _print_next(settings: Settings, found: "Found") -> None:
    from ouroboros.cli import terminal

    has = any(b.ready for b in found.benchmarks)
    steps = (
        "Read ouroboros.toml" + ("." if has else " and give it a benchmark."),
        "git add ouroboros.toml && git commit -m 'Add ouroboros.toml'",
        "ouroboros doctor      checks that this machine can do it",
        "ouroboros run         starts the engine and the screen (or 'ouroboros serve')",
    )
    terminal.line(settings)
    terminal.line(settings, "Next:", "bold")
    for number, step in enumerate(steps, 1):
        terminal.line(settings, f"  {number}. {step}")
