"""The cockpit as `tui.web` starts it, one process for each page: `python -m tui.served`.

Address and token come in the environment, which only this account can read, and are taken out of
it before anything else runs.
"""

import os
import sys
from pathlib import Path

from rpc.address import Local, Network
from tui.app import Cockpit
from tui.link import dial
from tui.settings import load

SOCKET = "OUROBOROS_WEB_SOCKET"
URL = "OUROBOROS_WEB_URL"
CA_FILE = "OUROBOROS_WEB_CA"
SECRET = "OUROBOROS_WEB_TOKEN"  # noqa: S105 - the name of a variable
READ_ONLY = "OUROBOROS_WEB_READ_ONLY"


def main() -> int:
    """Run the cockpit for a page; its driver is the web's."""
    secret = os.environ.pop(SECRET, "")
    socket, url = os.environ.pop(SOCKET, ""), os.environ.pop(URL, "")
    ca_file = os.environ.pop(CA_FILE, "")
    address = Local(Path(socket), secret) if socket else Network(url, secret, ca_file)
    app = Cockpit(
        dial(address, name="ouroboros-web"),
        read_only=os.environ.pop(READ_ONLY, "") == "1",
        over_ssh=True,  # as few repaints as over any other network
        settings=load(),
        farewell="",
    )
    return app.run() or app.return_code or 0


if __name__ == "__main__":
    sys.exit(main())
