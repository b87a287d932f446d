"""Services that are let through by name, and nothing else."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from ouroboros.config import Sandbox as Limits
from ouroboros.config import parse
from ouroboros.errors import ConfigError
from ouroboros.sandbox import Command, Ending, Sandbox

Make = Callable[..., Command]

ASK = """
import json, os, socket, sys
told = {}
for name, port in json.loads(sys.stdin.read()):
    try:
        with socket.create_connection((name, port), timeout=5) as link:
            link.sendall(b"x" * 200_000)
            link.shutdown(socket.SHUT_WR)
            said = b""
            while data := link.recv(65536):
                said += data
        told[f"{name}:{port}"] = said.decode()
    except OSError as error:
        told[f"{name}:{port}"] = type(error).__name__
try:
    os.wait()
except ChildProcessError:
    told["children"] = "none"
print(json.dumps(told))
"""


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A service that tells how many bytes it was told."""

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"%d" % len(await reader.read(-1)))
        writer.close()

    server = await asyncio.start_server(count, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def asking(python: Make, limits: Limits, services: tuple[str, ...], *asked: object) -> Command:
    wider = msgspec.structs.replace(limits, network=services)
    return python(ASK, limits=wider, stdin=json.dumps(asked).encode(), result=True)


async def test_a_named_service_is_reached_and_no_other(
    sandbox: Sandbox, python: Make, limits: Limits, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = socket.getaddrinfo

    def lookup(host: str, *args: object, **more: object) -> object:
        return known("127.0.0.1" if host == "db.example" else host, *args, **more)  # type: ignore[arg-type] # passed on

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with socket.create_server(("127.0.0.1", 0)) as other:
        shut = other.getsockname()[1]
        command = asking(
            python,
            limits,
            (f"db.example:{port}", f"localhost:{port}"),
            ("db.example", port),
            ("localhost", port),
            ("db.example", shut),
            ("localhost", shut),
            ("other.example", port),
        )
        outcome = await sandbox.run(command)
    assert outcome.ok, outcome
    assert json.loads(outcome.stdout) == {
        f"db.example:{port}": "200000",
        f"localhost:{port}": "200000",
        f"db.example:{shut}": "ConnectionRefusedError",
        f"localhost:{shut}": "ConnectionRefusedError",
        f"other.example:{port}": "gaierror",
        "children": "none",
    }


async def test_a_service_that_is_down_is_the_runs_to_see(
    sandbox: Sandbox, python: Make, limits: Limits
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    outcome = await sandbox.run(
        asking(python, limits, (f"localhost:{closed}",), ("localhost", closed))
    )
    assert outcome.ok, outcome
    assert json.loads(outcome.stdout)[f"localhost:{closed}"] in ("", "ConnectionResetError")


async def test_a_run_with_services_ends_as_others_do(
    sandbox: Sandbox, make: Make, limits: Limits, port: int
) -> None:
    wider = msgspec.structs.replace(limits, network=(f"localhost:{port}",))
    missing = await sandbox.run(make("no-such-program", limits=wider))
    assert (missing.ending, missing.exit_code) == (Ending.EXITED, 127)
    short = await sandbox.run(make("sleep", "60", limits=wider, wall=1.5))
    assert short.ending is Ending.TIMEOUT
    assert sandbox.level_for(wider).network
    assert not sandbox.level_for(limits).network


@pytest.mark.parametrize(
    "service", ["db", "db:80", "db:70000", "10.0.0.1:8080", "a b:8080", ":8080", "db:8080:1"]
)
def test_services_are_names_with_ports(service: str) -> None:
    with pytest.raises(ConfigError, match="NAME:PORT"):
        parse(f"[sandbox]\nnetwork = [{json.dumps(service)}]\n".encode())
