"""Acts that operators sign with their SSH keys: what is kept, what is refused."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from engine_world import FASTER, OTHER, World, reach

from ouroboros.cli import signing
from ouroboros.engine.api import Submission
from ouroboros.engine.daemon import Engine
from ouroboros.errors import SignatureError
from ouroboros.ledger import operators
from ouroboros.ledger.audit import Wanted, audit
from ouroboros.ledger.heads import verifier_of
from ouroboros.ledger.store import Store
from ouroboros.model.phase import Phase
from ouroboros.model.statement import Signature, Signed

BY = "1000:ann"

pytestmark = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="needs ssh-keygen (openssh-client)"
)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "ann"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ann", "-f", str(path)], check=True
    )
    return path


@pytest.fixture
async def engine(world: World, key: Path) -> Engine:
    public = key.with_suffix(".pub").read_text().strip()
    world.configure(
        engine=f'[ledger]\nrequire_signatures = true\noperators = {{ ann = "{public}" }}'
    )
    return await world.start()


async def held(engine: Engine, diff: str = FASTER) -> tuple[str, str]:
    name = await engine.submit(Submission(diff=diff, title="t"), actor=BY)
    return name, (await reach(engine, name, Phase.HELD)).commit


def sign(engine: Engine, key: Path, action: str, subject: str, commit: str) -> Signed:
    status = engine.status()
    return signing.signed_act(
        str(key),
        action=action,
        target=status.target,
        subject=subject,
        commit=commit,
        policy=status.config_hash,
        now=time.time_ns(),
    )


async def test_unsigned_approvals_are_refused_and_signed_ones_kept(
    world: World, engine: Engine, key: Path
) -> None:
    name, commit = await held(engine)
    with pytest.raises(SignatureError, match="must be signed by an operator"):
        await engine.approve(name, actor=BY, commit=commit, reason="")
    assert engine.candidate(name).phase is Phase.HELD
    signed = sign(engine, key, "approve", name, commit)
    await engine.approve(name, actor=BY, commit=commit, reason="", signed=signed)
    await reach(engine, name, Phase.PROMOTED)
    head = world.head()
    back = sign(engine, key, "rollback", "0", head)
    await engine.rollback("0", actor=BY, reason="x", expect_head=head, signed=back)
    await world.stop(engine)
    with Store.open(world.state / "ledger.sqlite", read_only=True) as store:
        kept = {
            s.entry.event.kind: s.entry.signature
            for s in store.entries()
            if s.entry.signature is not msgspec.UNSET
        }
        plain = next(store.raw()).data
    assert b"signature" not in plain  # entries without one are as they always were
    assert kept == {
        "approved": Signature(operator="ann", statement=signed.statement, armor=signed.armor),
        "rollback_started": Signature(operator="ann", statement=back.statement, armor=back.armor),
    }
    public = operators.parse_key(key.with_suffix(".pub").read_text())
    place, heads_key = world.state / "ledger.sqlite", verifier_of(world.state)
    report = audit(place, Wanted(key=heads_key, operators={"ann": public}))
    assert (report.exit_code, report.signatures) == (0, 2)
    report = audit(place, Wanted(key=heads_key, operators={"ann": b"x" * 32}))
    assert [p.code for p in report.problems] == ["operator_signature"] * 2
    assert report.exit_code == 3


async def test_a_signature_is_for_one_act_once(world: World, engine: Engine, key: Path) -> None:
    name, commit = await held(engine)
    other, other_commit = await held(engine, OTHER)
    signed = sign(engine, key, "approve", name, commit)
    with pytest.raises(SignatureError, match="says subject"):
        await engine.approve(other, actor=BY, commit=other_commit, reason="", signed=signed)
    with pytest.raises(SignatureError, match="says action"):
        await engine.deny(name, actor=BY, reason="", signed=signed)
    denial = sign(engine, key, "reject", name, commit)
    await engine.deny(name, actor=BY, reason="", signed=denial)
    assert engine.candidate(name).phase is Phase.REJECTED
    # A statement that was used is refused before anything else is asked of it.
    from ouroboros.engine.consent import consent

    with pytest.raises(SignatureError, match="was used already, for entry"):
        await consent(engine._core, "reject", subject=name, commit=commit, signed=denial)
    assert engine.candidate(other).phase is Phase.HELD


async def test_another_policy_needs_another_signature(
    world: World, engine: Engine, key: Path
) -> None:
    name, commit = await held(engine)
    status = msgspec.structs.replace(engine.status(), config_hash="0" * 64)
    signed = signing.signed_act(
        str(key),
        action="approve",
        target=status.target,
        subject=name,
        commit=commit,
        policy=status.config_hash,
        now=time.time_ns(),
    )
    with pytest.raises(SignatureError, match="says policy"):
        await engine.approve(name, actor=BY, commit=commit, reason="", signed=signed)


@pytest.fixture
def agent(key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An agent that holds the key, which is no longer on disk."""
    if shutil.which("ssh-agent") is None:
        pytest.skip("needs ssh-agent")
    socket = str(tmp_path / "agent")
    started = subprocess.run(
        ["ssh-agent", "-a", socket], capture_output=True, text=True, check=True
    ).stdout
    monkeypatch.setenv("SSH_AUTH_SOCK", socket)
    monkeypatch.setenv("SSH_AGENT_PID", started.split("SSH_AGENT_PID=")[1].split(";")[0])
    subprocess.run(["ssh-add", "-q", str(key)], check=True)
    key.unlink()
    yield
    subprocess.run(["ssh-agent", "-k"], check=True, capture_output=True)


@pytest.mark.usefixtures("agent")
async def test_an_agent_signs_as_well(engine: Engine) -> None:
    name, commit = await held(engine)
    signed = sign(engine, Path("agent"), "approve", name, commit)
    await engine.approve(name, actor=BY, commit=commit, reason="", signed=signed)
    await reach(engine, name, Phase.PROMOTED)
