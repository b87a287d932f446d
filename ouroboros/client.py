"""For scripts: the typed clients and the wire under one name.

from ouroboros.client import Client, wire

client = await Client.connect(socket, name="nightly-report")
page = await client.call(wire.CandidateList(phases=("held",)))

`SyncClient` is the same without asyncio, `follow` yields events for ever (it connects again by
itself), `parse_address` reads what `--host` takes: a socket, a port, another machine by SSH.
"""

from rpc import wire
from rpc.address import Address, Local, Network, Remote, parse_address
from rpc.client import Client, Feed, Lossy, UnknownEvent
from rpc.resume import follow
from rpc.sync import SyncClient

__all__ = [
    "Address",
    "Client",
    "Feed",
    "Local",
    "Lossy",
    "Network",
    "Remote",
    "SyncClient",
    "UnknownEvent",
    "follow",
    "parse_address",
    "wire",
]
