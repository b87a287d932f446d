"""Signing an act as an operator: `ssh-keygen -Y sign`, with a key file or the agent."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from ouroboros.errors import InvalidParamsError, MachineError
from ouroboros.model.statement import NAMESPACE, Signed, Statement

GOOD_FOR_NS = 600 * 10**9
"""How long a signature may be used: long enough for a slow link, too short to be kept for later."""


def signed_act(
    how: str, *, action: str, target: str, subject: str, commit: str, policy: str, now: int
) -> Signed:
    """Sign an act that begins now; `how` is a key file, or `agent` for its first Ed25519 key.

    Raises:
        MachineError: no ssh-keygen.
        InvalidParamsError: it could not be signed; says why.
    """
    statement = Statement(
        action=action,
        target=target,
        subject=subject,
        commit=commit,
        policy=policy,
        signed=now,
        expires=now + GOOD_FOR_NS,
    ).text()
    if how != "agent":
        return Signed(statement=statement, armor=_sign(Path(how).expanduser(), statement))
    with tempfile.TemporaryDirectory(prefix="ouroboros-sign-") as folder:
        public = Path(folder) / "agent.pub"
        public.write_text(f"{_agent_key()}\n")
        return Signed(statement=statement, armor=_sign(public, statement))


def _sign(key: Path, statement: str) -> str:
    command = [_tool("ssh-keygen"), "-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key)]
    done = subprocess.run(command, input=statement, capture_output=True, text=True, check=False)
    if done.returncode or "BEGIN SSH SIGNATURE" not in done.stdout:
        raise InvalidParamsError(
            f"ssh-keygen could not sign with {key}: {done.stderr.strip() or 'it gave no reason'}.",
            hint="Give an Ed25519 key file, its .pub file if an agent holds it, or 'agent'.",
        )
    return done.stdout


def _agent_key() -> str:
    done = subprocess.run([_tool("ssh-add"), "-L"], capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("ssh-ed25519 "):
            return line
    raise InvalidParamsError(
        f"No agent offers an Ed25519 key: {done.stdout.strip() or done.stderr.strip()}.",
        hint="Run 'ssh-add KEYFILE', or give the key file to --sign.",
    )


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise MachineError(
            f"{name} is not installed.", hint="Install openssh-client, which has it, to sign."
        )
    return found
