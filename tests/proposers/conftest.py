import copy
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ouroboros.config import Config
from ouroboros.model.progress import HotSpot
from ouroboros.proposers import Context
from ouroboros.proposers.codemod import ideas
from ouroboros.proposers.codemod.catalogue import TRANSFORMATIONS
from ouroboros.proposers.codemod.edits import apply
from ouroboros.proposers.codemod.function import Function
from ouroboros.proposers.codemod.transformation import Site


def rewrites(name: str, code: str, function: str = "f") -> list[tuple[Site, str]]:
    """Return the sites of one transformation in one function, and the text after each."""
    text = textwrap.dedent(code)
    source = ideas.parse("module.py", text)
    assert source is not None, "the corpus itself must parse"
    (definition,) = [d for d in source.index.functions if d.qualname == function]
    (transformation,) = [t for t in TRANSFORMATIONS if t.name == name]
    found = list(transformation.find(Function(source.index, definition)))
    texts = [(site, apply(source.index, site.plan)) for site in found]
    for _, new in texts:
        assert new != text
        assert ideas.parses(new), new
    return texts


def outcome(text: str, function: str, arguments: Sequence[Any]) -> tuple[object, ...]:
    """Run a function of a module on its own copy of the arguments; return all that can be seen."""
    space: dict[str, Any] = {"__name__": "module"}
    exec(compile(textwrap.dedent(text), "<corpus>", "exec"), space)  # noqa: S102 - our own corpus
    own = copy.deepcopy(list(arguments))
    try:
        given: object = space[function](*own)
    except Exception as error:  # noqa: BLE001 - which one it is, is the point
        given = type(error)
    return type(given), given, own


def spot(path: str, function: str, line: int, share: float = 0.5) -> HotSpot:
    return HotSpot(path=path, function=function, line=line, calls=10, share=share, cumulative=share)


MakeContext = Callable[..., Context]


@pytest.fixture
def make_context(tmp_path: Path) -> MakeContext:
    def make(files: dict[str, str | bytes], *spots: HotSpot, **more: Any) -> Context:
        tree = tmp_path / "tree"
        for path, content in files.items():
            file = tree / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return Context(
            base=more.get("base", "b" * 40),
            tree=tree,
            hot_spots=spots,
            tried=frozenset(more.get("tried", ())),
            outcomes=(),
            config=more.get("config", Config()),
        )

    return make
