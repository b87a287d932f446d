"""The servers that `rpc.py` measures, each as its own documentation would have it.

python rpc_servers.py echo|jsonrpcserver|pjrpc|openrpc|ours SOCKET ANSWER.json
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from aiohttp import web


def echo(answer: dict[str, Any]) -> web.Application:
    """Answer every WebSocket message with the same bytes."""
    frame = json.dumps({"jsonrpc": "2.0", "result": answer, "id": 1}, separators=(",", ":"))

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        async for _ in socket:
            await socket.send_str(frame)
        return socket

    application = web.Application()
    application.router.add_get("/rpc", serve)
    return application


def jsonrpcserver(answer: dict[str, Any]) -> web.Application:
    """As in its README."""
    from jsonrpcserver import Result, Success, async_dispatch, method

    @method(name="engine.status")
    async def status() -> Result:
        return Success(answer)

    async def handle(request: web.Request) -> web.Response:
        body = await async_dispatch(await request.text())
        return web.Response(text=body, content_type="application/json")

    return _posted(handle)


def pjrpc(answer: dict[str, Any]) -> web.Application:
    """Its dispatcher behind aiohttp."""
    import pjrpc.server

    dispatcher = pjrpc.server.AsyncDispatcher()

    async def status() -> dict[str, Any]:
        return answer

    registry = pjrpc.server.MethodRegistry()
    registry.add_method(status, name="engine.status")
    dispatcher.add_methods(registry)

    async def handle(request: web.Request) -> web.Response:
        found = await dispatcher.dispatch(await request.text(), request)
        assert found is not None
        return web.Response(text=found[0], content_type="application/json")

    return _posted(handle)


def openrpc(answer: dict[str, Any]) -> web.Application:
    """Its server behind aiohttp."""
    from openrpc import RPCServer

    server = RPCServer(title="bench", version="1")

    @server.method(name="engine.status")
    async def status() -> dict[str, Any]:
        return answer

    async def handle(request: web.Request) -> web.Response:
        body = await server.process_request_async(await request.text())
        return web.Response(text=body, content_type="application/json")

    return _posted(handle)


def _posted(handle: Any) -> web.Application:
    application = web.Application()
    application.router.add_post("/rpc", handle)
    return application


ROOT = Path(__file__).resolve().parents[2]


async def ours(socket: Path) -> None:
    """Serve an engine in memory, and send the events that stdin asks for."""
    sys.path[:0] = [str(ROOT)]
    import importlib.util

    from ouroboros.model import events as ev
    from ouroboros.model.entry import Entry, Stored
    from rpc.limits import Limits
    from rpc.server import Server

    place = ROOT / "tests" / "rpc_wire" / "conftest.py"
    spec = importlib.util.spec_from_file_location("bench_world", place)
    assert spec is not None
    assert spec.loader is not None
    world = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(world)
    engine = world.MemoryEngine()
    engine.seed()
    await Server.start(engine, socket=socket, limits=Limits(connections=200))
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    seq = len(engine.entries)

    def publish() -> None:
        nonlocal seq
        seq += 1
        event = ev.Paused(reason=str(time.monotonic_ns()))
        entry = Entry(
            v=1, seq=seq, ts=1, actor="uid:bench", idem=f"i{seq}", prev="0" * 64, event=event
        )
        engine.bus.publish(Stored(hash="f" * 64, entry=entry))

    while line := (await reader.readline()).split():
        if line[0] == b"flood":
            for number in range(int(line[1])):
                publish()
                if number % 50 == 49:  # listeners' queues are bounded
                    while any(len(queue) > 200 for queue in _queues(engine)):  # noqa: ASYNC110
                        await asyncio.sleep(0)
        else:
            begun = loop.time()
            for number in range(int(line[1])):
                await asyncio.sleep(max(0.0, begun + number / int(line[2]) - loop.time()))
                publish()


def _queues(engine: Any) -> list[Any]:
    return [listener._durable for listener in engine.bus._listeners]  # noqa: SLF001


async def serve(application: web.Application, socket: str) -> None:
    """Serve until killed."""
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.UnixSite(runner, socket).start()
    await asyncio.Event().wait()


def main() -> None:
    """Serve one of them."""
    kind, socket, file = sys.argv[1:4]
    if kind == "ours":
        asyncio.run(ours(Path(socket)))
        return
    makers = {"echo": echo, "jsonrpcserver": jsonrpcserver, "pjrpc": pjrpc, "openrpc": openrpc}
    asyncio.run(serve(makers[kind](json.loads(Path(file).read_text())), socket))


if __name__ == "__main__":
    main()
