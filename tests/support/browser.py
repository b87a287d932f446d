"""Headless Chromium, driven by its own protocol: just what the tests of the page need."""

import asyncio
import base64
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
START_S = 60


class Browser:
    """One page. `received` is what WebSockets of the page got, decoded as far as it is text."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.received = b""

    async def read(self) -> None:
        async for message in self._socket:
            data = json.loads(message.data)
            if "id" in data:
                self._waiting.pop(data["id"]).set_result(data)
            elif data["method"] == "Network.webSocketFrameReceived":
                frame = data["params"]["response"]
                text = frame["payloadData"]
                self.received += base64.b64decode(text) if frame["opcode"] == 2 else text.encode()

    async def tell(self, method: str, **params: Any) -> Any:
        number = next(self._ids)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        return (await asyncio.wait_for(answer, START_S))["result"]

    async def go(self, url: str) -> None:
        await self.tell("Page.navigate", url=url)

    async def ask(self, script: str) -> Any:
        done = await self.tell("Runtime.evaluate", expression=script, awaitPromise=True)
        return done["result"].get("value")

    async def until(self, true: Callable[[], Any], what: str) -> None:
        deadline = asyncio.get_running_loop().time() + START_S
        while not true():
            assert asyncio.get_running_loop().time() < deadline, (
                f"{what}: {self.received[-2000:]!r}"
            )
            await asyncio.sleep(0.05)

    async def until_page(self, script: str, what: str) -> None:
        deadline = asyncio.get_running_loop().time() + START_S
        while not await self.ask(script):
            assert asyncio.get_running_loop().time() < deadline, what
            await asyncio.sleep(0.05)

    async def click(self, x: int, y: int) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            await self.tell(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
            )

    async def press(self, key: str, text: str = "", code: int = 0) -> None:
        common = {"key": key, "windowsVirtualKeyCode": code}
        await self.tell("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        await self.tell("Input.dispatchKeyEvent", type="keyUp", **common)

    async def picture(self, file: Path) -> None:
        shot = await self.tell("Page.captureScreenshot")
        file.write_bytes(base64.b64decode(shot["data"]))  # noqa: ASYNC240


@asynccontextmanager
async def browsing(folder: Path) -> AsyncIterator[Browser]:
    """Run a browser of its own profile."""
    arguments = [
        PROGRAM,
        "--headless=new",
        "--no-sandbox",  # it is root in containers; it sees pages of this test only
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--remote-debugging-port=0",
        "--window-size=1200,760",
        f"--user-data-dir={folder}",
        "about:blank",
    ]
    environ = {**os.environ, "HOME": str(folder)}
    process = subprocess.Popen(  # noqa: ASYNC220 - it only starts
        arguments, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        port = await _port(folder / "DevToolsActivePort", process)
        async with aiohttp.ClientSession() as http:
            async with http.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [tab for tab in await answer.json() if tab["type"] == "page"]
            url = pages[0]["webSocketDebuggerUrl"]
            async with http.ws_connect(url, max_msg_size=0) as socket:
                browser = Browser(socket)
                reading = asyncio.ensure_future(browser.read())
                await browser.tell("Network.enable")
                await browser.tell("Page.enable")
                yield browser
                reading.cancel()
    finally:
        process.kill()
        process.wait()


async def _port(file: Path, process: subprocess.Popen[bytes]) -> int:
    deadline = asyncio.get_running_loop().time() + START_S
    while True:
        if file.exists() and (lines := file.read_text().split("\n")) and lines[0]:  # noqa: ASYNC240
            return int(lines[0])
        assert process.poll() is None, "the browser ended"
        assert asyncio.get_running_loop().time() < deadline, "the browser does not listen"
        await asyncio.sleep(0.05)
