"""Real repositories. `Box` is the user: his own git, with his own configuration."""

import os
import subprocess
from pathlib import Path

import pytest

from ouroboros.vcs.repository import Repository


class Box:
    def __init__(self, root: Path) -> None:
        self.root = root

    def git(self, *args: str, ok: bool = True, data: bytes | None = None) -> str:
        done = subprocess.run(
            ["git", *args], cwd=self.root, capture_output=True, input=data, check=False
        )
        assert not ok or done.returncode == 0, done.stderr.decode()
        return (done.stdout + (b"" if ok else done.stderr)).decode("utf-8", "replace").strip()

    def write(self, **files: str) -> None:
        for name, text in files.items():
            self.put(name.replace("__", "/"), text)

    def put(self, name: str, text: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def text(self, name: str) -> str:
        return (self.root / name).read_text()

    def commit(self, message: str = "work") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def open(self) -> Repository:
        return Repository.open(self.root)

    def diff_of(self, **files: str | None) -> str:
        """The diff that an edit would make; the work tree is left as it was."""
        base = self.git("rev-parse", "HEAD")
        for name, text in files.items():
            place = name.replace("__", "/")
            if text is None:
                (self.root / place).unlink()
            else:
                self.put(place, text)
        self.git("add", "-A")
        diff = subprocess.run(
            ["git", "diff", "--cached", "--binary", "HEAD"],
            cwd=self.root,
            capture_output=True,
            check=True,
        ).stdout.decode()
        self.git("reset", "-q", "--hard", base)
        return diff


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Cut off the machine's own git configuration; return the user's global one."""
    for name in [n for n in os.environ if n.startswith("GIT_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "xdg"))
    config = home / ".gitconfig"
    config.write_text(
        "[user]\n\tname = User\n\temail = user@example.org\n[init]\n\tdefaultBranch = main\n"
    )
    return config


@pytest.fixture
def box(tmp_path: Path, user: Path) -> Box:
    root = tmp_path / "target"
    root.mkdir()
    made = Box(root)
    made.git("init", "-q")
    made.write(
        **{
            "a.txt": "".join(f"line {n}\n" for n in range(1, 21)),
            "pkg__mod.py": "x = 1\ny = 2\nz = 3\n",
            "pkg__old.py": "old\n",
            "README": "read me\n",
        }
    )
    made.commit("first")
    return made
