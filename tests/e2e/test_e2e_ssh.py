"""`--host ssh://...` against a real sshd of this machine, with keys and no password."""

import getpass
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import FASTER, OUROBOROS, WORK, Served, diff, until

from ouroboros.errors import InvalidParamsError
from rpc.address import Local, Network, Remote, parse_address

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
needs_sshd = pytest.mark.skipif(not Path(SSHD).exists(), reason="openssh-server is not installed")


class Machine:
    """An sshd whose only user is the one who runs the tests."""

    def __init__(self, folder: Path, served: Served) -> None:
        self.folder = folder
        self.served = served
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        for name in ("host", "user", "stranger"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(command, check=True)
        self.admit((folder / "user.pub").read_text())
        config = folder / "sshd_config"
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        state = served.env["XDG_STATE_HOME"]
        config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\n"
            f"AuthorizedKeysFile {folder / 'authorized'}\nStrictModes no\nUsePAM no\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
            f"PermitRootLogin prohibit-password\nPidFile {folder / 'pid'}\n"
            f"SetEnv PATH={path} XDG_STATE_HOME={state}\n"
        )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        self.log = (folder / "sshd.log").open("w")
        self.process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", str(config)], stderr=self.log, stdin=subprocess.DEVNULL
        )
        until(self._answers, what="sshd answers")

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.folder / "sshd.log").read_text()
        with socket.socket() as plug:
            return plug.connect_ex(("127.0.0.1", self.port)) == 0

    def admit(self, line: str) -> None:
        (self.folder / "authorized").write_text(line)

    def host(self, path: str = "") -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{path or self.served.root}"

    def environment(self, key: str = "user") -> dict[str, str]:
        ssh = (
            f"ssh -F none -i {self.folder / key} -o IdentitiesOnly=yes -o IdentityAgent=none "
            "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
        )
        elsewhere = self.folder / "elsewhere"  # nothing of the engine is found by chance
        return dict(os.environ) | {"OUROBOROS_SSH": ssh, "XDG_STATE_HOME": str(elsewhere)}

    def run(
        self, *arguments: str, path: str = "", key: str = "user"
    ) -> "subprocess.CompletedProcess[str]":
        command = [str(OUROBOROS), "--host", self.host(path), *arguments]
        env = self.environment(key)
        return subprocess.run(command, capture_output=True, text=True, env=env, cwd="/", timeout=60)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()
        self.log.close()


@pytest.fixture
def machine(served: Served, tmp_path: Path) -> Iterator[Machine]:
    folder = tmp_path / "ssh"
    folder.mkdir()
    made = Machine(folder, served)
    yield made
    made.close()


@needs_sshd
def test_a_day_over_ssh(machine: Machine) -> None:
    served = machine.served
    served.start()
    status = machine.run("status")
    assert status.returncode == 0, status.stderr
    assert str(served.root) in status.stdout
    patch = machine.folder / "faster.diff"
    patch.write_text(diff(WORK, FASTER))
    name = machine.run("propose", str(patch), "--title", "a set").stdout.split()[0]
    waited = machine.run("wait", name, "--timeout", "50")
    assert waited.returncode == 20, waited.stderr  # held
    assert "held" in machine.run("show", name).stdout


@needs_sshd
def test_a_key_that_may_only_carry_messages(machine: Machine) -> None:
    """A forced command: a colleague's key reaches the engine, and no shell."""
    served = machine.served
    served.start()
    key = (machine.folder / "user.pub").read_text()
    machine.admit(f'restrict,command="ouroboros --repo {served.root} rpc --stdio" {key}')
    assert machine.run("status", path="/somewhere/else").returncode == 0
    ssh = machine.environment()["OUROBOROS_SSH"].split()
    where = ["-p", str(machine.port), "-l", getpass.getuser(), "127.0.0.1", "id"]
    done = subprocess.run([*ssh, *where], capture_output=True, text=True, input="", timeout=30)
    assert "uid=" not in done.stdout


@needs_sshd
def test_each_way_to_fail_is_told_apart(machine: Machine) -> None:
    refused = machine.run("status", key="stranger")
    assert refused.returncode == 8
    assert "ssh cannot reach" in refused.stderr
    assert "Permission denied" in refused.stderr
    nobody = machine.run("status")
    assert nobody.returncode == 8
    assert "No engine is running" in nobody.stderr
    lost = machine.run("status", path="/nowhere")
    assert lost.returncode == 8
    assert "/nowhere" in lost.stderr
    config = machine.folder / "sshd_config"
    config.write_text(config.read_text().replace(str(Path(sys.executable).parent), "/nowhere"))
    machine.process.send_signal(1)
    until(lambda: "no 'ouroboros'" in machine.run("status").stderr, what="the new PATH is used")


@needs_sshd
def test_a_connection_that_is_cut_ends_with_an_error(machine: Machine) -> None:
    machine.served.start()
    command = [str(OUROBOROS), "--host", machine.host(), "watch", "--from-seq", "0", "--once"]
    watcher = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=machine.environment(),
        cwd="/",
    )
    assert watcher.stdout is not None
    assert watcher.stdout.readline()
    machine.served.signal(15)
    out, err = watcher.communicate(timeout=60)
    assert (watcher.returncode, out.count("Traceback")) == (8, 0)
    assert "The engine is stopping" in err or "hung up" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/run/x.sock", Local(Path("/run/x.sock"))),
        ("http://127.0.0.1:7717/", Network("http://127.0.0.1:7717")),
        ("https://[::1]:7717", Network("https://[::1]:7717")),
        ("ssh://box", Remote("box")),
        (
            "ssh://ann@box.example.org:2222/srv/a b",
            Remote("box.example.org", "ann", 2222, "/srv/a b"),
        ),
    ],
)
def test_addresses(text: str, expected: object) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "box",
        "ssh://",
        "ssh://-oProxyCommand=id/x",
        "ssh://-l@box",
        "ssh://a b@box",
        "ssh://box:port",
        "ssh://box;id",
        "ssh://box\n-oProxyCommand=id",
        "ssh://ann@-box/x",
        "http://user:secret@box",
        "http://box/path",
        "ftp://box",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(InvalidParamsError):
        parse_address(text)


def test_nothing_of_an_address_is_split_by_the_other_shell() -> None:
    remote = parse_address("ssh://box/srv/$(id);x 'y")
    assert isinstance(remote, Remote)
    command = remote.command(["ssh"])
    assert command[-2] == "box"
    assert command[-3] == "--"
    spoken = subprocess.run(
        ["sh", "-c", command[-1].replace("ouroboros", "printf '%s\\n'", 1)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert spoken.stdout.splitlines()[1] == "/srv/$(id);x 'y"
    assert "secret" not in repr(parse_address("http://127.0.0.1:1", secret="secret"))


class Pane:
    """A program in a tmux of our own, as a person at a terminal has it."""

    def __init__(self, folder: Path, command: list[str], env: dict[str, str]) -> None:
        self.tmux = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null"]
        self.env = {k: v for k, v in env.items() if k not in {"LINES", "COLUMNS", "TMUX"}}
        text = f"{shlex.join(command)}; echo left with $?; exec cat"
        self("new-session", "-d", "-x", "100", "-y", "30", text)

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self.tmux, *arguments], capture_output=True, text=True, check=True, env=self.env
        )
        return done.stdout

    def until(self, text: str) -> str:
        until(lambda: text in self("capture-pane", "-p"), what=text)
        return self("capture-pane", "-p")

    def keys(self, *keys: str) -> None:
        self("send-keys", *keys)

    def close(self) -> None:
        self("kill-server")


needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")


@needs_sshd
@needs_tmux
def test_the_cockpit_over_ssh_outlives_the_engine(machine: Machine) -> None:
    """`--host ssh://... tui`: the screen is here, the engine there; killed, started, resumed."""
    served = machine.served
    served.start()
    command = [str(OUROBOROS), "--host", machine.host(), "tui"]
    pane = Pane(machine.folder, command, machine.environment())
    try:
        pane.until("live")
        pane.keys("Space")
        pane.until("Pause the loop?")
        pane.keys("Right", "Enter")
        pane.until("PAUSED by uid:")
        served.signal(signal.SIGKILL)
        pane.until("STALE")
        assert "PAUSED" in pane("capture-pane", "-p")
        served.start()
        pane.until("live")
        pane.keys("5")
        shown = pane.until("engine 0.")
        assert shown.count("paused") >= 1
        pane.keys("q")
        pane.until("left with 0")
    finally:
        pane.close()


@needs_sshd
@needs_tmux
def test_a_colleagues_key_opens_a_viewers_cockpit_and_nothing_else(machine: Machine) -> None:
    """The recipe of docs/tui.md: a forced command with a viewer's token."""
    served = machine.served
    served.start()
    token = machine.folder / "viewer.token"
    made = machine.run("token", "create", "colleague", "--role", "viewer", "--reason", "looks on")
    token.write_text(made.stdout.split()[0] + "\n")
    key = (machine.folder / "user.pub").read_text()
    forced = f"ouroboros --repo {served.root} tui --token-file {token}"
    machine.admit(f'restrict,pty,command="{forced}" {key}')
    ssh = machine.environment()["OUROBOROS_SSH"].split()
    there = ["-tt", "-p", str(machine.port), "-l", getpass.getuser(), "127.0.0.1", "bash", "-i"]
    pane = Pane(machine.folder, [*ssh, *there], machine.environment())
    try:
        shown = pane.until("READ-ONLY: your role on this engine is viewer")
        assert "token:colleague viewer" in shown
        pane.keys("!")
        pane.until("This needs the role operator; yours is viewer.")
        pane.keys("C-z", "C-c", "q")
        pane.until("left with 0")
    finally:
        pane.close()
    where = [*ssh, *there[1:-2]]
    for wanted in (["id"], ["ouroboros", "pause"], ["rpc"]):
        done = subprocess.run(
            [*where, *wanted], capture_output=True, text=True, input="id\n", timeout=60
        )
        assert "uid=" not in done.stdout
        assert "needs a terminal" in done.stderr
    assert '"paused":true' not in served.run("status", "--json").replace(" ", "")
