"""Every way to people: what it takes, what it refuses, and that a failure is told."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from ouroboros.alerts.configured import sink_of, wants
from ouroboros.config_alerts import Sink, SinkKind, Tls
from ouroboros.config_values import seconds
from ouroboros.errors import MachineError
from ouroboros.model.state import Alert

EVIL = "\x1b]52;c;eA==\x07 \u202e two\r\nBcc: evil@example.org\r\n\r\nlines"
ALERT = Alert(
    seq=7, ts=1, code="disk_low", severity="critical", text=f"low: {EVIL}", candidate="c3"
)


class Mail:
    """A mail server of this machine that keeps what it got; `refuse` answers DATA with 451."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.recipients: list[str] = []
        self.refuse = False
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb in (b"EHLO", b"HELO"):
                writer.write(b"250 test\r\n")
            elif verb == b"RCPT":
                self.recipients.append(line.decode().strip())
                writer.write(b"250 ok\r\n")
            elif verb == b"DATA":
                if self.refuse:
                    writer.write(b"451 come back later\r\n")
                    continue
                writer.write(b"354 go on\r\n")
                self.got.append((await reader.readuntil(b"\r\n.\r\n")).decode())
                writer.write(b"250 taken\r\n")
            elif verb == b"QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 ok\r\n")
        writer.close()


class Place:
    """One kind of sink with its other side: what it got, and a way to have it refuse."""

    def __init__(
        self, config: Sink, got: Callable[[], list[Any]], refuse: Callable[[], Any]
    ) -> None:
        self.config = config
        self.got = got
        self.refuse = refuse


@pytest.fixture(params=list(SinkKind))
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    if request.param is SinkKind.COMMAND:
        out = tmp_path / "out"
        keep = f"import sys; open({str(out)!r}, 'a').write(sys.stdin.read() + '\\n')"
        script = tmp_path / "sink.py"
        script.write_text(keep)
        yield Place(
            Sink(kind=SinkKind.COMMAND, command=(sys.executable, str(script)), timeout=seconds(5)),
            lambda: [json.loads(row) for row in out.read_text().split("\n") if row],
            lambda: script.write_text("import sys; sys.exit('no room')"),
        )
        return
    if request.param is SinkKind.EMAIL:
        mail = Mail()
        server = await asyncio.start_server(mail.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        def refuse() -> None:
            mail.refuse = True

        yield Place(
            Sink(
                kind=SinkKind.EMAIL,
                host="127.0.0.1",
                port=port,
                tls=Tls.NONE,
                sender="engine@example.org",
                to=("ops@example.org", "night@example.org"),
            ),
            lambda: mail.got,
            refuse,
        )
        server.close()
        return
    taken: list[Any] = []
    status = [204]

    async def hook(got: web.Request) -> web.Response:
        if status[0] == 204:
            taken.append(json.loads(await got.read()) | {"auth": got.headers.get("Authorization")})
        return web.Response(status=status[0])

    application = web.Application()
    application.router.add_post("/hook", hook)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    (tmp_path / "token").write_text("s3cret\n")
    yield Place(
        Sink(
            kind=SinkKind.WEBHOOK,
            url=f"http://127.0.0.1:{runner.addresses[0][1]}/hook",
            token_file=str(tmp_path / "token"),
        ),
        lambda: taken,
        lambda: status.__setitem__(0, 500),
    )
    await runner.cleanup()


async def test_an_alert_arrives_once_and_whole(place: Place) -> None:
    await sink_of("ops", place.config).send(ALERT)
    assert len(place.got()) == 1
    got = place.got()[0]
    if isinstance(got, str):
        head, _, body = got.partition("\r\n\r\n")
        assert "Subject: [ouroboros] CRITICAL disk_low c3" in head
        assert "\nBcc:" not in head
        assert "entry 7 of the ledger" in body
        assert "\x1b" not in got
        return
    assert (got["number"], got["code"], got["severity"]) == (7, "disk_low", "critical")
    assert got["text"] == ALERT.text
    if "auth" in got:
        assert got["auth"] == "Bearer s3cret"


async def test_a_refusal_is_an_error_that_says_so(place: Place) -> None:
    place.refuse()
    with pytest.raises(MachineError):
        await sink_of("ops", place.config).send(ALERT)


async def test_nobody_there_is_an_error(tmp_path: Path) -> None:
    for config in (
        Sink(kind=SinkKind.WEBHOOK, url="http://127.0.0.1:1/"),
        Sink(kind=SinkKind.COMMAND, command=("/no/such/thing",)),
        Sink(kind=SinkKind.EMAIL, host="127.0.0.1", port=1, sender="a@b", to=("c@d",)),
    ):
        with pytest.raises((MachineError, OSError)):
            await sink_of("ops", config).send(ALERT)


async def test_a_command_that_hangs_is_ended(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "import time; time.sleep(60)")
    config = Sink(kind=SinkKind.COMMAND, command=command, timeout=seconds(0.5))
    with pytest.raises(MachineError, match="did not end in time"):
        await sink_of("ops", config).send(ALERT)


@pytest.mark.parametrize(
    ("least", "codes", "severity", "wanted"),
    [
        ("warning", "*", "critical", True),
        ("warning", "*", "info", False),
        ("critical", "*", "warning", False),
        ("info", "disk_*", "info", True),
        ("info", "service_*", "critical", False),
        ("critical", "*", "of another version", True),
    ],
)
def test_who_wants_what(least: str, codes: str, severity: str, *, wanted: bool) -> None:
    config = Sink(kind=SinkKind.WEBHOOK, url="http://x", min_severity=least, codes=codes)
    alert = Alert(seq=1, ts=1, code="disk_low", severity=severity, text="t")
    assert wants(config, alert) is wanted
