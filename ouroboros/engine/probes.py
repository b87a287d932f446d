"""Asking a live service: is it healthy, what does it count, please reload. Each ends in words.

A probe never raises: whatever goes wrong on the other side is its answer. Of a metrics page only
three names are read; the page is the target's, and may be anything.
"""

import asyncio
import contextlib
import math
import os
import re
from collections.abc import Mapping, Sequence

from ouroboros.config_service import Health, LiveMetrics, Service
from ouroboros.engine.process import PASSED
from ouroboros.governor.vitals import VitalSample
from ouroboros.model.text import safe_line

_LARGEST_PAGE = 4 << 20
_LINE = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)(?:\{[^}]*\})?\s+([^\s]+)")


async def unhealthy(health: Health, service: Service) -> str:
    """Return why the service is not healthy, in words; empty where it is, or nothing is asked."""
    if health.url:
        return await asked(health.url, health.timeout.seconds)
    if health.command:
        return await ran(health.command, service.environment, health.timeout.seconds)
    return ""


async def asked(url: str, timeout_s: float, *, method: str = "GET") -> str:
    """Return what is wrong with the answer to a request; empty for 200 to 299."""
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=timeout_s)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.request(method, url, allow_redirects=False) as answer,
        ):
            good = 200 <= answer.status < 300  # noqa: PLR2004 - as HTTP has it
            return "" if good else f"{url} answers {answer.status}"
    except TimeoutError:
        return f"{url} does not answer within {timeout_s:g} s"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return f"{url}: {safe_line(str(error), limit=200) or type(error).__name__}"


async def ran(command: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> str:
    """Return what is wrong with a command's end; empty for exit code 0."""
    passed = {name: os.environ[name] for name in PASSED if name in os.environ}
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=passed | dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        return f"{command[0]} cannot be run: {safe_line(str(error), limit=200)}"
    try:
        async with asyncio.timeout(timeout_s):
            code = await process.wait()
    except TimeoutError:
        return f"{command[0]} does not end within {timeout_s:g} s"
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            await process.wait()
    return "" if code == 0 else f"{command[0]} ended with exit code {code}"


async def counted(metrics: LiveMetrics, timeout_s: float) -> dict[str, float]:
    """Return the sums of all series by name that a Prometheus page shows; empty where none came."""
    import aiohttp

    if not metrics.url:
        return {}
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.get(metrics.url, allow_redirects=False) as answer,
        ):
            data = await answer.content.read(_LARGEST_PAGE)
            return sums(data.decode(errors="replace")) if answer.status == 200 else {}  # noqa: PLR2004 - as HTTP has it
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
        return {}


def sums(page: str) -> dict[str, float]:
    """Return the sum over all labels of each name of a page in Prometheus' text format."""
    found: dict[str, float] = {}
    for row in page.split("\n"):
        match = _LINE.match(row)
        if match is None:
            continue
        try:
            value = float(match[2])
        except ValueError:
            continue
        if math.isfinite(value):
            found[match[1]] = found.get(match[1], 0.0) + value
    return found


def vital_sample(
    ts: int, usage: tuple[int, float], names: LiveMetrics, page: Mapping[str, float]
) -> VitalSample:
    """Return a sample of what the process used and of what the service counts."""
    rss, cpu = usage
    requests = page.get(names.requests, page.get(f"{names.seconds}_count"))
    return VitalSample(
        ts=ts,
        rss_bytes=rss,
        cpu_s=cpu,
        requests=requests,
        errors=page.get(names.errors, 0.0) if requests is not None else None,
        seconds=page.get(f"{names.seconds}_sum"),
    )
