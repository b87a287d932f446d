"""The command line: composition root, and the only room that may import every other one.

The console script enters by `main`. Importing this package imports nothing, and each sub-command
imports what it needs inside its function: `ouroboros --version` must not pay for aiohttp, git or
textual (tests/cli/test_cli_imports.py looks into `sys.modules`).

Where to look:

- `edge.py` is the outermost layer: the only place that prints errors and picks exit codes;
- `root.py` lists the commands, `commands/` holds them, one file for each family;
- `options.py` and `terminal.py` are what every command gets: settings in, text or JSON out;
- `reach.py` finds the engine of a repository; `guards.py` refuses packages that are not ours;
- `detect.py` and `template.py` make `ouroboros init`; `checks/` makes `ouroboros doctor`;
- `compose.py` builds the engine and its server out of the rooms.

Exit codes stand on the error classes (`ouroboros/errors.py`); `ouroboros wait` adds its own from
20 on, 130 is an interrupt, 141 a reader that closed the pipe.
"""

from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and end the process (entry point of the console script)."""
    import sys

    from ouroboros.cli.edge import run

    sys.exit(run(sys.argv[1:]))
