"""Where a door of the network is: `127.0.0.1:7717`, `[::1]:7717`. Pure."""

import ipaddress
import re
from typing import NamedTuple

_FORM = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<four>[0-9.]+)):(?P<port>[0-9]{1,5})")
_LAST_PORT = 65535


class Listen(NamedTuple):
    """An address in its canonical form, and a port (0: any free one)."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return ipaddress.ip_address(self.host).is_loopback


def parse_listen(text: str) -> Listen:
    """Read an address and a port. Names are not taken: they could lead anywhere tomorrow.

    Raises:
        ValueError: it is none; the text is for people.
    """
    match = _FORM.fullmatch(text)
    what = f"Expected an address and a port as 127.0.0.1:7717 or [::1]:7717, got {text!r}"
    if match is None or int(match["port"]) > _LAST_PORT:
        raise ValueError(what)
    try:
        host = ipaddress.ip_address(match["six"] or match["four"])
    except ValueError:
        raise ValueError(what) from None
    return Listen(str(host), int(match["port"]))
