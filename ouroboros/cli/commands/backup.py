"""`backup` and `restore`: a target's state in one file, and back."""

from pathlib import Path

import click

from ouroboros.cli.options import Command, Settings


@click.command(cls=Command)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_obj
def backup_command(settings: Settings, file: Path) -> None:
    """Write ledger, keys and evidence into FILE (.tar.gz); the engine may run meanwhile.

    FILE holds the key that signs heads: keep it as you keep that key. The repository is not in it.
    """
    from ouroboros.cli import archive, reach, terminal

    paths = reach.locate(settings)
    about = archive.write(paths.state, file, paths.target)
    if settings.json:
        terminal.data(about)
        return
    terminal.line(
        settings,
        f"{about.entries} entries, head {about.head[:12]}, {about.evidence} files of evidence "
        f"in {file}; the ledger in it verifies.",
    )


@click.command(cls=Command)
@click.argument("file", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@click.pass_obj
def restore_command(settings: Settings, file: Path) -> None:
    """Restore a backup for this repository; refused where there is a ledger, or an engine runs."""
    from ouroboros.cli import archive, reach, terminal
    from ouroboros.engine.lock import EngineLock
    from ouroboros.paths import make_private

    paths = reach.locate(settings)
    make_private(paths.state)
    lock = EngineLock(paths.lock)
    try:
        about = archive.read(file, paths.state)
    finally:
        lock.release()
    if settings.json:
        terminal.data(about)
        return
    terminal.line(
        settings,
        f"Restored {about.entries} entries, head {about.head[:12]}, and {about.evidence} files of "
        f"evidence to {paths.state}.",
    )
