"""The proposer through its one door, with real files, real git and real ruff."""

import asyncio
import subprocess
from pathlib import Path

import msgspec
import psutil
import pytest

from ouroboros.config import Codemod, Config, Governor, Proposers, Target
from ouroboros.errors import ProposerError
from ouroboros.model.proposal import Proposal
from ouroboros.proposers import Context
from ouroboros.proposers.codemod import CodemodProposer, ruff_fixes

from .conftest import MakeContext, spot

SLOW = """\
import re


def dedupe(items):
    seen = []
    for item in items:
        if item not in seen:
            seen.append(item)
    return seen


def shares(counts):
    return {k: v / sum(counts.values()) for k, v in counts.items()}


def numbers(lines):
    return any([re.match(r"\\d+", line) for line in lines])
"""

SPOTS = (
    spot("pkg/mod.py", "dedupe", 4, 0.5),
    spot("pkg/mod.py", "shares", 12, 0.3),
    spot("pkg/mod.py", "numbers", 16, 0.1),
)


async def all_of(context: Context) -> list[Proposal]:
    proposer, found = CodemodProposer(), []
    while (proposal := await proposer.propose(context)) is not None:
        assert len(found) < 100
        found.append(proposal)
        context = msgspec.structs.replace(context, tried=context.tried | {proposal.idea})
    return found


def applied(tree: Path, diff: str) -> None:
    """Apply a diff as the engine does: by git, from the outside."""
    file = tree.parent / "change.diff"
    file.write_bytes(diff.encode())
    if not (tree / ".git").exists():
        subprocess.run(["git", "init", "-q", str(tree)], check=True)
    done = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", str(file)],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr}\n{diff}"


async def test_ideas_come_one_by_one_hottest_first(make_context: MakeContext) -> None:
    found = await all_of(make_context({"pkg/mod.py": SLOW}, *SPOTS))
    ideas = [p.idea for p in found]
    assert ideas[:2] == [
        "codemod:seen-set:pkg/mod.py:dedupe:seen",
        "codemod:hoist-call:pkg/mod.py:shares:sum(counts.values())",
    ]
    assert "codemod:hoist-regex:pkg/mod.py:numbers" in ideas
    assert "codemod:ruff-C419:pkg/mod.py:numbers" in ideas
    assert len(set(ideas)) == len(ideas)
    gains = [p.predicted_gain for p in found]
    assert gains == sorted(gains, key=lambda g: -(g or 0))


async def test_a_proposal_says_what_it_is(make_context: MakeContext) -> None:
    context = make_context({"pkg/mod.py": SLOW}, *SPOTS, base="c" * 40)
    ticks = iter([100, 350])
    proposal = await CodemodProposer(clock=lambda: next(ticks)).propose(context)
    assert proposal is not None
    assert (proposal.proposer, proposal.base) == ("codemod", "c" * 40)
    assert proposal.title == "Keep a set of what seen holds in dedupe"
    assert "quadratic" in proposal.rationale
    assert "must hold that every value put into seen or tested is hashable" in proposal.rationale
    assert proposal.cost.wall_ns == 250
    assert proposal.diff.startswith(
        "diff --git a/pkg/mod.py b/pkg/mod.py\n--- a/pkg/mod.py\n+++ b/"
    )


async def test_each_applies_by_git_and_compiles(make_context: MakeContext) -> None:
    context = make_context({"pkg/mod.py": SLOW}, *SPOTS)
    found = await all_of(context)
    for proposal in found:
        file = context.tree / "pkg/mod.py"
        applied(context.tree, proposal.diff)
        assert file.read_text() != SLOW
        compile(file.read_text(), "mod.py", "exec")
        file.write_text(SLOW)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("pkg/crlf.py", SLOW.replace("\n", "\r\n").encode()),
        ("pkg/end.py", SLOW[: SLOW.index("def shares")].rstrip().encode()),
        ("pkg/with space.py", SLOW.encode()),
        ("pkg/ümlaut.py", ("# Grüße \u2028 \x0c\n" + SLOW).encode()),
        ("pkg/tabs.py", SLOW.replace("    ", "\t").encode()),
        ("mod.py", b"#!/usr/bin/env python3\n# -*- coding: utf-8 -*-\n" + SLOW.encode()),
        ("pkg/long.py", b"#\n" * 5000 + SLOW.encode() + b"#\n" * 5000),
    ],
)
async def test_odd_files_are_changed_where_they_should(
    make_context: MakeContext, path: str, content: bytes
) -> None:
    line = content.decode().replace("\u2028", "").split("def dedupe")[0].count("\n") + 1
    context = make_context({path: content}, spot(path, "dedupe", line))
    found = await all_of(context)
    assert found[0].idea == f"codemod:seen-set:{path}:dedupe:seen"
    for proposal in found:
        applied(context.tree, proposal.diff)
        new = (context.tree / path).read_bytes()
        compile(new, path, "exec")
        kept = set(content.split(b"\n")) & set(new.split(b"\n"))
        assert len(kept) >= 6, "the other lines keep their ends"
        assert (b"\r\n" in content) == (b"\r\n" in new)
        assert new.endswith(b"\n") == content.endswith(b"\n")
        assert (new.replace(b"\r\n", b"").count(b"\n") == 0) == (b"\r\n" in content)
        (context.tree / path).write_bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        SLOW.encode("utf-16"),
        b"# -*- coding: latin-1 -*-\n# \xe4\n" + SLOW.encode(),
        b"\xef\xbb\xbf" + SLOW.encode(),
        b"# \xff\n" + SLOW.encode(),
        b"# -*- coding: klingon -*-\n" + SLOW.encode(),
        SLOW.encode() + b"def broken(:\n",
        SLOW.encode() + b"\x00",
        b"x = " + b"(" * 5000 + b")" * 5000 + b"\n" + SLOW.encode(),
        b"x = " + b"a and " * 20000 + b"a\n" + SLOW.encode(),
        b"x = " + b"a + " * 4000 + b"a\n" + SLOW.encode(),
        b"x = (" + b"'a'\n" * 20000 + b")\n" + SLOW.encode(),
        b"import a" + b".a" * 20000 + b"\n" + SLOW.encode(),
        b"from a" + b".a" * 20000 + b" import a\n" + SLOW.encode(),
        b"x = [a" + b" for a in a" * 20000 + b"]\n" + SLOW.encode(),
        b"match a:\n  case 1" + b" | 1" * 20000 + b": pass\n" + SLOW.encode(),
        b"x = f'" + b"{a}" * 20000 + b"'\n" + SLOW.encode(),
        b"x = " + b"f'{a}' " * 20000 + b"\n" + SLOW.encode(),
        b"def g(a): pass\n" * 8000
        + b"if a:\n  pass\n"
        + b"elif a:\n  pass\n" * 3000
        + SLOW.encode(),
        SLOW.encode() + b"#" * (1 << 20),
    ],
)
async def test_files_it_does_not_understand_are_skipped(
    make_context: MakeContext, content: bytes
) -> None:
    files = {"a.py": content, "b.py": SLOW}
    context = make_context(files, spot("a.py", "dedupe", 4, 0.9), spot("b.py", "dedupe", 4, 0.1))
    found = await all_of(context)
    assert found
    assert all(":b.py:" in p.idea for p in found)


async def test_missing_files_and_links_are_skipped(
    make_context: MakeContext, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text(SLOW)
    context = make_context({"x.py": "pass\n"}, *[spot(n, "dedupe", 4) for n in ("l.py", "n.py")])
    (context.tree / "l.py").symlink_to(outside)
    assert await all_of(context) == []


@pytest.mark.parametrize(
    "path",
    [
        "tests/helper.py",
        "pkg/test_mod.py",
        "bench/run.py",
        "conftest.py",
        "other/mod.py",
        "pkg/mod.pyx",
        "../pkg/mod.py",
        "/pkg/mod.py",
        'pkg/"mod.py',
    ],
)
async def test_only_files_that_may_be_touched(make_context: MakeContext, path: str) -> None:
    config = Config(target=Target(paths=("pkg/**", "**/conftest.py", "tests/**", "bench/**")))
    inside = path.lstrip("./")
    context = make_context({inside: SLOW}, spot(path, "dedupe", 4), config=config)
    assert await all_of(context) == []


async def test_protected_wins_over_paths(make_context: MakeContext) -> None:
    config = Config(governor=Governor(protected=("pkg/**",)))
    context = make_context({"pkg/mod.py": SLOW, "m.py": SLOW}, *SPOTS, config=config)
    assert await all_of(context) == []


async def test_only_the_hottest_functions(make_context: MakeContext) -> None:
    config = Config(proposers=Proposers(codemod=Codemod(hot_functions=1)))
    found = await all_of(make_context({"pkg/mod.py": SLOW}, *SPOTS, config=config))
    assert found
    assert all(":dedupe" in p.idea for p in found)


async def test_cold_functions_are_left_alone(make_context: MakeContext) -> None:
    cold = [msgspec.structs.replace(s, share=0.001, cumulative=0.002) for s in SPOTS]
    assert await all_of(make_context({"pkg/mod.py": SLOW}, *cold)) == []


async def test_disabled(make_context: MakeContext) -> None:
    config = Config(proposers=Proposers(codemod=Codemod(enabled=False)))
    assert await all_of(make_context({"pkg/mod.py": SLOW}, *SPOTS, config=config)) == []


async def test_the_same_idea_keeps_its_name_when_lines_move(make_context: MakeContext) -> None:
    first = await all_of(make_context({"pkg/mod.py": SLOW}, *SPOTS))
    moved = "# a comment\n\n\n" + SLOW
    spots = [msgspec.structs.replace(s, line=s.line + 3) for s in SPOTS]
    again = await all_of(make_context({"pkg/mod.py": moved}, *spots))
    assert [p.idea for p in first] == [p.idea for p in again]


async def test_an_idea_keeps_its_name_when_its_neighbour_was_promoted(
    make_context: MakeContext,
) -> None:
    two = SLOW.replace("    return seen\n", "    return seen\n\n\n") + (
        "def both(xs, ys):\n"
        "    a = []\n    for x in xs:\n        if x not in a:\n            a.append(x)\n"
        "    b = []\n    for y in ys:\n        if y not in b:\n            b.append(y)\n"
        "    return a, b\n"
    )
    line = two.split("def both")[0].count("\n") + 1
    context = make_context({"pkg/mod.py": two}, spot("pkg/mod.py", "both", line))
    first = await CodemodProposer().propose(context)
    assert first is not None
    applied(context.tree, first.diff)
    tried = msgspec.structs.replace(context, tried=frozenset({first.idea}))
    second = await CodemodProposer().propose(tried)
    assert second is not None
    assert {first.idea, second.idea} == {
        "codemod:seen-set:pkg/mod.py:both:a",
        "codemod:seen-set:pkg/mod.py:both:b",
    }


async def test_functions_of_one_name_are_told_apart(make_context: MakeContext) -> None:
    body = SLOW[SLOW.index("def dedupe") : SLOW.index("def shares")]
    method = "".join(f"    {line}\n" if line else "\n" for line in body.splitlines())
    text = f"if 1:\n{method}else:\n{method}class C:\n{method}"
    lines = [n for n, line in enumerate(text.splitlines(), 1) if "def dedupe" in line]
    context = make_context({"m.py": text}, *[spot("m.py", "dedupe", n) for n in lines])
    ideas = {p.idea for p in await all_of(context) if "seen-set" in p.idea}
    assert ideas == {
        "codemod:seen-set:m.py:dedupe:seen",
        "codemod:seen-set:m.py:dedupe#2:seen",
        "codemod:seen-set:m.py:C.dedupe:seen",
    }


async def test_a_decorated_function_is_found_by_either_line(make_context: MakeContext) -> None:
    text = "import functools\n@functools.cache\n" + SLOW[SLOW.index("def dedupe") :]
    for line in (2, 3):
        (first, *_) = await all_of(make_context({"m.py": text}, spot("m.py", "dedupe", line)))
        assert first.idea == "codemod:seen-set:m.py:dedupe:seen"


async def test_ruff_ends_when_the_caller_is_cancelled(
    make_context: MakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"
    hanging = tmp_path / "ruff"
    hanging.write_text(
        f'#!/bin/sh\necho $$ > "{started}.new"\nmv "{started}.new" "{started}"\nexec sleep 600\n'
    )
    hanging.chmod(0o755)
    monkeypatch.setattr(ruff_fixes.ruff, "find_ruff_bin", lambda: str(hanging))
    context = make_context({"pkg/mod.py": SLOW}, *SPOTS)
    asked = asyncio.ensure_future(CodemodProposer().propose(context))
    async with asyncio.timeout(30):
        while not started.exists():  # noqa: ASYNC110 - another process tells us, by a file
            await asyncio.sleep(0.01)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert not psutil.pid_exists(int(started.read_text()))


@pytest.mark.parametrize("script", ["exit 3", "echo not json", "echo '[{}]'"])
async def test_a_broken_ruff_is_an_error_and_no_silence(
    make_context: MakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    broken = tmp_path / "ruff"
    broken.write_text(f"#!/bin/sh\ncat > /dev/null\n{script}\n")
    broken.chmod(0o755)
    monkeypatch.setattr(ruff_fixes.ruff, "find_ruff_bin", lambda: str(broken))
    with pytest.raises(ProposerError, match="ruff"):
        await CodemodProposer().propose(make_context({"pkg/mod.py": SLOW}, *SPOTS))


async def test_a_missing_ruff_says_what_to_do(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ruff_fixes.ruff, "find_ruff_bin", lambda: "/nowhere/ruff")
    with pytest.raises(ProposerError, match=r"cannot be run.*Install ouroboros-daemon"):
        await CodemodProposer().propose(make_context({"pkg/mod.py": SLOW}, *SPOTS))
