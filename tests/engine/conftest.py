from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from engine_world import World

from ouroboros.engine.daemon import Engine


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    yield world
    for engine, store in zip(world.engines, world.stores, strict=True):
        await engine.close()
        store.close()


@pytest.fixture
async def engine(world: World) -> Engine:
    return await world.start()
