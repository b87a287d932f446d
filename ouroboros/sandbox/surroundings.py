"""What a run is told: its environment, and paths where there is no root of its own."""

from pathlib import Path

from ouroboros.sandbox.command import HARNESS, RESULT_FD, TREE, Command


def environment(command: Command) -> dict[str, str]:
    """The environment, from nothing: no variable of the engine's is passed on."""
    folder = Path(command.python).parent
    env = {
        "PATH": f"{folder}:/usr/local/bin:/usr/bin:/bin",
        "HOME": "/tmp",  # noqa: S108 - the run's own
        "TMPDIR": "/tmp",  # noqa: S108 - the run's own
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
    }
    if command.result or command.channel >= 0:
        env["OUROBOROS_RESULT_FD"] = str(RESULT_FD)
    if command.tree is not None:
        env["OUROBOROS_TREE"] = TREE
    return env | command.env


def unconfined(
    command: Command, argv: list[str], env: dict[str, str], tree: Path | None, home: Path
) -> tuple[list[str], dict[str, str], str]:
    """Replace the fixed inside paths by the real ones."""

    def real(text: str) -> str:
        return text.replace(TREE, str(tree or home)).replace(
            HARNESS, str(command.harness or HARNESS)
        )

    env = {name: real(value) for name, value in env.items()}
    env |= {"HOME": str(home), "TMPDIR": str(home)}
    return [real(word) for word in argv], env, str(tree or home)
