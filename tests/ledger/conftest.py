from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ouroboros.ledger.store import Store
from ouroboros.model.events import CycleStarted


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(path) as opened:
        yield opened


@pytest.fixture
def filled(store: Store) -> Callable[[int], Store]:
    def fill(count: int) -> Store:
        start = store.head().size
        for n in range(start + 1, start + count + 1):
            event = CycleStarted(cycle=n, trigger="manual", base="b" * 40)
            store.append(event, actor="engine", ts=1000 + n, idem=f"cycle-{n}")
        return store

    return fill
