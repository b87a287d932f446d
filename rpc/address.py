"""Where an engine is, for clients: a socket of this machine, a port, or another machine by SSH.

    /run/user/1000/ouroboros/x.sock          the owner's unix socket
    http://127.0.0.1:7717, https://host:7717  a port; a token is needed
    ssh://user@host:22/srv/repository         `ouroboros rpc --stdio` there, started by ssh

A host's text never becomes an option of ssh: it is checked here, and stands behind `--`.
"""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

from ouroboros.errors import InvalidParamsError
from ouroboros.model.text import safe_line

_SSH = re.compile(
    r"ssh://(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]*)@)?"
    r"(?P<host>[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>/.*)?"
)
_HTTP = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?")


class Local(NamedTuple):
    """A unix socket of this machine. `secret` is a token, where less than one's own is wanted."""

    path: Path
    secret: str = ""

    def __str__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Local({str(self.path)!r})"


class Network(NamedTuple):
    """A port. `secret` is the token; it is never shown."""

    url: str
    secret: str = ""
    ca_file: str = ""

    def __str__(self) -> str:
        return self.url

    def __repr__(self) -> str:
        return f"Network({self.url!r})"


class Remote(NamedTuple):
    """Another machine. `repository` is the path there; empty: where ssh begins."""

    host: str
    user: str = ""
    port: int = 0
    repository: str = ""

    def __str__(self) -> str:
        who = f"{self.user}@" if self.user else ""
        return f"ssh://{who}{self.host}{f':{self.port}' if self.port else ''}{self.repository}"

    def command(self, ssh: list[str]) -> list[str]:
        """Return the whole command line; `ssh` is the program with its options.

        What is run there is one text that the other side's shell splits: every part is quoted.
        """
        there = ["ouroboros", *(["--repo", self.repository] if self.repository else [])]
        where = [*(["-p", str(self.port)] if self.port else [])]
        who = [*(["-l", self.user] if self.user else [])]
        return [
            *ssh,
            "-T",
            *("-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=15"),
            *where,
            *who,
            "--",
            self.host.strip("[]"),
            shlex.join([*there, "rpc", "--stdio"]),
        ]


Address = Local | Network | Remote


def parse_address(text: str, *, secret: str = "", ca_file: str = "") -> Address:
    """Read what `--host` or OUROBOROS_HOST says.

    Raises:
        InvalidParamsError: it is none of the three.
    """
    if text.startswith("/"):
        return Local(Path(text))
    if _HTTP.fullmatch(text):
        return Network(text.rstrip("/"), secret, ca_file)
    match = _SSH.fullmatch(text)
    if match is None or "\0" in text or "\n" in text:
        raise InvalidParamsError(
            f"{safe_line(text, limit=120)!r} is no engine's address.",
            hint="Expected ssh://user@host/path/of/repository, http://127.0.0.1:PORT, "
            "https://HOST:PORT, or the path of a socket.",
        )
    path = match["path"] or ""
    return Remote(
        host=match["host"],
        user=match["user"] or "",
        port=int(match["port"] or 0),
        repository="" if path == "/" else path,
    )
