"""The outermost layer: runs the command, prints what went wrong, decides the exit code.

Nothing below prints an error. An expected one is a paragraph and a hint, an unexpected one is a
line that names where it happened (the same defect gives the same incident); its traceback is for
`--debug` only. With `--json` errors are JSON too, still on stderr: stdout carries data or nothing.
"""

import json
import os
import sys
import traceback
from collections.abc import Sequence

import click

from ouroboros.cli import options
from ouroboros.errors import OuroborosError

INTERRUPTED = 130
"""As a shell reports a process that SIGINT ended."""

PIPE_CLOSED = 141
"""As a shell reports a process that SIGPIPE ended."""

_PROGRAM = "ouroboros"
_COMPLETE = "_OUROBOROS_COMPLETE"


def run(arguments: Sequence[str]) -> int:
    """Run one command line; return its exit code."""
    _tame_streams()
    options.reset()
    try:
        code = _invoke(list(arguments))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _abandon_stdout()
        return PIPE_CLOSED
    except click.exceptions.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        return _usage(error, as_json="--json" in arguments)
    except OuroborosError as error:
        return _expected(error)
    except Exception as error:  # noqa: BLE001 - the edge: every defect becomes one line and code 1
        return _unexpected(error)
    return code


def _invoke(arguments: list[str]) -> int:
    from ouroboros.cli.root import cli

    instruction = os.environ.get(_COMPLETE)
    if instruction:
        from click.shell_completion import shell_complete

        return shell_complete(cli, {}, _PROGRAM, _COMPLETE, instruction)
    try:
        with cli.make_context(_PROGRAM, arguments) as context:
            code = cli.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    return code if isinstance(code, int) else 0


def _tame_streams() -> None:
    """Let no locale turn a title into a crash."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _abandon_stdout() -> None:
    """Keep the interpreter from complaining when it flushes into a closed pipe at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _usage(error: click.ClickException, *, as_json: bool) -> int:
    """Report arguments that could not be parsed, so that `--json` may not have been either."""
    path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else _PROGRAM
    hint = f"Try '{path} --help'."
    _report("usage", error.format_message(), hint, error.exit_code, as_json=as_json)
    return error.exit_code


def _print_traceback(error: Exception) -> None:
    """Print it for `--debug`; it quotes values, and so foreign text."""
    from ouroboros.model.text import safe_text

    sys.stderr.write(safe_text("".join(traceback.format_exception(error))))


def _expected(error: OuroborosError) -> int:
    if options.current().debug:
        _print_traceback(error)
    _report(error.rpc_name, error.message, error.hint, error.exit_code)
    return error.exit_code


def _unexpected(error: Exception) -> int:
    if options.current().debug:
        _print_traceback(error)
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{'/'.join(frames[-1].filename.split('/')[-3:])}:{frames[-1].lineno}" if frames else ""
    said = f": {error}" if str(error) else ""
    message = f"Ouroboros has a defect: {type(error).__name__}{said} (incident {where})."
    hint = "Run it again with --debug to see the traceback, and report it with that."
    _report("internal", message, hint, 1)
    return 1


def _report(name: str, message: str, hint: str, code: int, *, as_json: bool = False) -> None:
    from ouroboros.cli.terminal import colors_on, style
    from ouroboros.model.text import safe_text

    settings = options.current()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _abandon_stdout()
    if settings.json or as_json:
        body = {"name": name, "message": message, "hint": hint, "exit_code": code}
        sys.stderr.write(f"{json.dumps({'error': body})}\n")
        return
    on = colors_on(sys.stderr, settings)
    sys.stderr.write(f"{style('error:', 'bad', on=on)} {safe_text(message, limit=4000)}\n")
    if hint:
        sys.stderr.write(f"{style('hint:', 'info', on=on)} {safe_text(hint, limit=1000)}\n")
