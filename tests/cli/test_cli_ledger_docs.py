"""What docs/ledger says can be done by hand is done here, with the tools that it names."""

import asyncio
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from engine_world import FASTER, World, reach

from ouroboros.cli import signing
from ouroboros.engine.api import Submission
from ouroboros.ledger.store import Store
from ouroboros.model.phase import Phase

DOCS = Path(__file__).parents[2] / "docs" / "ledger.md"
TOOLS = ("sqlite3", "sha256sum", "openssl", "ssh-keygen", "git")

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, TOOLS)), reason=f"needs {', '.join(TOOLS)}"
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An auditor's folder: a copy of the ledger, the key, a repository, the signers."""
    folder = tmp_path_factory.mktemp("desk")
    key = folder / "ann"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = key.with_suffix(".pub").read_text().strip()
    world = World(folder)
    world.configure(engine=f'[ledger.operators]\nann = "{public}"')

    async def work() -> None:
        engine = await world.start()
        name = await engine.submit(Submission(diff=FASTER, title="t"), actor="1000:ann")
        commit = (await reach(engine, name, Phase.HELD)).commit
        signed = signing.signed_act(
            str(key),
            action="approve",
            target=engine.status().target,
            subject=name,
            commit=commit,
            policy=engine.status().config_hash,
            now=time.time_ns(),
        )
        await engine.approve(name, actor="1000:ann", commit=commit, reason="", signed=signed)
        await reach(engine, name, Phase.PROMOTED)
        await world.stop(engine)

    asyncio.run(work())
    shutil.copy(world.state / "ledger.sqlite", folder / "ledger.sqlite")
    shutil.copy(world.state / "head.vkey", folder / "vkey")
    (folder / "repo").symlink_to(world.root)
    (folder / "signers").write_text(f"ann {public}\n")
    return folder


def test_every_command_of_the_page_says_what_the_page_says(desk: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    said: list[list[str]] = []
    for block in blocks:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block], cwd=desk, capture_output=True, text=True
        )
        assert done.returncode == 0, (block, done.stderr)
        said.append(done.stdout.splitlines())
    entry, leaf, head, anchor, operator = said
    with Store.open(desk / "ledger.sqlite", read_only=True) as store:
        rows = list(store.raw())[:2]
        size = store.head().size
    assert entry[1:] == [rows[1].hash, rows[1].hash, rows[0].hash, f'"prev":"{rows[0].hash}"']
    from ouroboros.ledger import merkle

    assert leaf == [f"{merkle.leaf(rows[1].data).hex()}  -"]
    assert head == ["Signature Verified Successfully"]
    assert anchor == [str(size), str(size)]
    assert operator[0].startswith('Good "ouroboros" signature for ann with ED25519 key')


def test_the_page_shows_the_formats_as_they_are(desk: Path) -> None:
    page = DOCS.read_text()
    with Store.open(desk / "ledger.sqlite", read_only=True) as store:
        note = store.heads()[-1].note
        data = next(r.data for r in store.raw() if b'"kind":"approved"' in r.data)
    shown = re.findall(r"^    (ouroboros/calc.*?)\n\n    — ", page, re.MULTILINE | re.DOTALL)[0]
    assert len(shown.splitlines()) == len(note.split("\n\n")[0].splitlines()) == 4
    keys = re.findall(rb'"(\w+)":', data.split(b'"event"')[0])
    assert [k.decode() for k in keys] == ["v", "seq", "ts", "actor", "idem", "prev"]
    statement = re.findall(r"^    (ouroboros statement 1\n.*?)\n\n", page, re.MULTILINE | re.DOTALL)
    names = [line.strip().split(":")[0] for line in statement[0].splitlines()]
    wanted = ["ouroboros statement 1", "action", "target", "subject", "commit", "policy"]
    assert names == [*wanted, "signed", "expires"]
