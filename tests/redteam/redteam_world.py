"""Where a case is run: a target in a real repository, a real engine on it, and canaries around.

Each case has a repository, an engine, a ledger and canaries of its own, so that nothing that one
case does can help or hurt another. The engine is put together by the product's own composition
root; a patch is submitted as anybody would, to the inbox.
"""

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from redteam_case import Case
from redteam_target import CONFIG, FILES

SECRET_NAME = "REDTEAM_SECRET"
SHOUT = b"LEAKED"
"""What an attack prints when it has found something; no patch contains it in one piece."""

_ALLOWED = {"target", "state", "host", "layers"}


def git(root: Path, *args: str, data: bytes | None = None, index: Path | None = None) -> str:
    """Run git on the target, undisturbed by anybody's configuration."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    env |= {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    if index is not None:
        env["GIT_INDEX_FILE"] = str(index)
    command = ["git", "-C", str(root), "-c", "user.name=U", "-c", "user.email=u@e", *args]
    done = subprocess.run(command, check=True, capture_output=True, env=env, input=data)
    return done.stdout.decode("utf-8", "surrogateescape")


@contextmanager
def range_() -> Iterator["Range"]:
    """Make the folder that all cases share, and the repository that they are copies of."""
    with tempfile.TemporaryDirectory(prefix="redteam-") as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        made = Range(folder=folder, mark="REDTEAM_" + secrets.token_hex(6).upper())
        before = os.environ.get(SECRET_NAME)
        os.environ[SECRET_NAME] = made.token
        try:
            made.build()
            yield made
        finally:
            os.environ.pop(SECRET_NAME)
            if before is not None:
                os.environ[SECRET_NAME] = before


@dataclass(kw_only=True)
class Range:
    """What all cases share. `mark` is an environment variable of every run of target code."""

    folder: Path
    mark: str
    token: str = field(default_factory=lambda: "s3cret-" + secrets.token_hex(12))

    @property
    def template(self) -> Path:
        """The repository that each case copies."""
        return self.folder / "template"

    def build(self) -> None:
        """Write the target and commit it."""
        config = CONFIG.format(python=sys.executable, mark=self.mark)
        for name, text in {**FILES, "ouroboros.toml": config}.items():
            path = self.template / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git(self.template, "init", "-q", "-b", "main")
        git(self.template, "add", "-A")
        git(self.template, "commit", "-q", "-m", "The target")

    def world(self, case: Case) -> "World":
        """Make a fresh copy for one case."""
        folder = self.folder / case.id
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        shutil.copytree(self.template, folder / "target", symlinks=True)
        return World(folder=folder, range=self, case=case)

    def left_running(self) -> list[str]:
        """Return the processes, anywhere on the machine, that came out of a run of target code."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if self.mark in process.environ():
                    found.append(f"{process.pid} {' '.join(process.cmdline())[:80]}")
        return found


@dataclass(kw_only=True)
class World:
    """One case's repository, state and canaries."""

    folder: Path
    range: Range
    case: Case
    visits: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def root(self) -> Path:
        """The target."""
        return self.folder / "target"

    @property
    def host(self) -> Path:
        """Folder of the canaries."""
        return self.folder / "host"

    @property
    def drop(self) -> Path:
        """Where an attack would leave something; anybody may write."""
        return self.host / "drop"

    @property
    def stray(self) -> Path:
        """A file that can be written inside, too, where /tmp is another."""
        return Path("/tmp") / f"{self.range.mark}-{self.case.id}"

    @property
    def environment(self) -> Mapping[str, str]:
        """What decides where the engine keeps its state."""
        return {"XDG_STATE_HOME": str(self.folder / "state"), "PATH": os.environ["PATH"]}

    def diff(self) -> str:
        """Return the patch, made by git where the case is not a raw diff."""
        return self._filled(self.case.diff) if self.case.diff else self._made()

    def _filled(self, text: str) -> str:
        known = {
            "@SECRET@": str(self.host / "secret"),
            "@DROP@": str(self.drop),
            "@SOCKET@": str(self.host / "s"),
            "@PORT@": str(self.port or 1),
            "@TMP@": str(self.stray),
            "@ID@": self.case.id,
        }
        for name, value in known.items():
            text = text.replace(name, value)
        return text

    def _made(self) -> str:
        """Put the new contents into an index of its own and let git write the difference."""
        root, index = self.root, self.folder / "index"
        git(root, "read-tree", "HEAD", index=index)
        for path, content in self.case.edits.items():
            if content is None:
                git(root, "update-index", "--force-remove", path, index=index)
                continue
            data = content if isinstance(content, bytes) else self._filled(content).encode()
            blob = git(root, "hash-object", "-w", "--stdin", data=data).strip()
            entry = f"100644,{blob},{path}"
            git(root, "update-index", "--add", "--cacheinfo", entry, index=index)
        arguments = (
            "diff-index",
            "-p",
            "--cached",
            "--binary",
            "--no-color",
            "--full-index",
            "HEAD",
        )
        made = git(root, *arguments, index=index)
        index.unlink()
        return made

    @asynccontextmanager
    async def canaries(self) -> AsyncIterator[None]:
        """Put up a secret, a drop, a unix and a TCP listener."""
        self.host.mkdir()
        self.host.chmod(0o755)
        self.drop.mkdir()
        self.drop.chmod(0o777)
        (self.host / "secret").write_text(self.range.token)

        def visited(kind: str) -> "asyncio.base_events.Server | object":
            async def come(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                self.visits.append(kind)
                writer.close()

            return come

        unix = await asyncio.start_unix_server(visited("unix socket"), self.host / "s")  # type: ignore[arg-type]
        (self.host / "s").chmod(0o777)
        tcp = await asyncio.start_server(visited("TCP port"), "127.0.0.1", 0)  # type: ignore[arg-type]
        self.port = tcp.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            for server in (unix, tcp):
                server.close()
                await server.wait_closed()

    def before(self) -> "Before":
        """Note what must be the same afterwards."""
        return Before(
            head=git(self.root, "rev-parse", "main").strip(),
            settings=_contents(self.root / ".git"),
            around=_names(self.folder) | _names(self.folder.parent),
        )

    def damage(self, before: "Before", *, promoted: bool) -> list[str]:
        """Return what happened to the host, in words; empty is what is wanted. Blocking."""
        found = [f"{kind} was reached" for kind in self.visits]
        found += [f"{p.name} was dropped" for p in self.drop.iterdir()]
        if self.stray.exists():
            self.stray.unlink()
            found.append("a file was dropped in /tmp")
        if (self.host / "secret").read_text() != self.range.token:
            found.append("the secret was changed")
        if _contents(self.root / ".git") != before.settings:
            found.append("git's settings or hooks were changed")
        if new := (_names(self.folder) - before.around - _ALLOWED):
            found.append(f"new beside the target: {sorted(new)}")
        if git(self.root, "status", "--porcelain", "--ignored"):
            found.append("the work tree was changed")
        if not promoted and git(self.root, "rev-parse", "main").strip() != before.head:
            found.append("the branch moved")
        return found + self._leaks()

    def _leaks(self) -> list[str]:
        """Look through what the engine keeps; its tree cache holds only what the patch holds."""
        found = []
        for path in (self.folder / "state").rglob("*"):
            if path.is_file() and "cache" not in path.relative_to(self.folder).parts:
                data = path.read_bytes()
                found += [
                    f"{what} is in {path.name}"
                    for what, mark in (("the secret", self.range.token.encode()), ("a find", SHOUT))
                    if mark in data
                ]
        return found


@dataclass(frozen=True, kw_only=True)
class Before:
    """What the host looked like."""

    head: str
    settings: Mapping[str, bytes]
    around: frozenset[str]


def _contents(folder: Path) -> Mapping[str, bytes]:
    files = [folder / "config", folder / "HEAD", *(folder / "hooks").glob("*")]
    return {p.name: p.read_bytes() for p in files if p.is_file()}


def _names(folder: Path) -> frozenset[str]:
    return frozenset(p.name for p in folder.iterdir())


def free_port() -> int:
    """Return a port that nobody listens on, for tests of the canaries."""
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        return int(plug.getsockname()[1])
