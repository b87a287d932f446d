"""Sizes and instructions of a candidate, and who is to blame where they cannot be had."""

import platform
from pathlib import Path
from typing import Any

import pytest

from ouroboros.evaluation import needs
from ouroboros.executors.local import LocalExecutor
from ouroboros.governor.specs import specs_of
from ouroboros.model.evaluation import EvaluationStatus, Stage
from ouroboros.model.metric import Source

QUICK = """
    [tests]
    framework = "command"
    command = ["true"]
    [benchmarks.total]
    command = ["sh", "bench/run.sh"]
    timeout = "5s"
    [governor]
    min_pairs = 2
    max_pairs = 2
    alpha_accept = 0.4
    alpha_improve = 0.4
"""
SIZED = (
    QUICK
    + """
    [benchmarks.total.metrics.source]
    files = ["shop/**"]
"""
)
COUNTED = (
    QUICK
    + """
    [benchmarks.total.metrics.instructions]
"""
)
WORK = {
    "bench/run.sh": """
        read steps <shop/steps
        i=0
        while [ $i -lt $steps ]; do i=$((i + 1)); done
    """,
    "shop/steps": "400\n",
}
HALF = {"shop/steps": "200\n"}
PYTHON = COUNTED.replace('"sh", "bench/run.sh"', '"{python}", "-S", "bench/run.py"')
SMALL = {
    "bench/run.py": "import sys\nsys.path.insert(0, '')\nimport shop.prices as p\np.total(200)\n"
}

needs_valgrind = pytest.mark.skipif(
    needs.valgrind() is None, reason="valgrind is not installed: apt-get install valgrind"
)


@pytest.fixture
def work(target: Any) -> Any:
    target.base = target.commit(WORK)
    return target


async def test_sizes(executor: LocalExecutor, work: Any, seen: Any) -> None:
    work.config = work.configured(SIZED)
    before = sum(p.stat().st_size for p in (work.folder / "shop").iterdir())
    plan = work.candidate({"shop/steps": "9\n", "shop/new.py": "x = 1\n", "README": "more\n"})
    evaluation = await executor.run(plan, seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    (size,) = evaluation.exact
    assert (size.benchmark, size.metric, size.stage) == ("total", "source", Stage.SCREEN)
    assert size.baseline == (float(before),)
    assert size.candidate == (float(before - 2 + 6),)


async def test_a_candidate_that_has_grown_too_much_is_not_measured(
    executor: LocalExecutor, work: Any, seen: Any
) -> None:
    work.config = work.configured(SIZED)
    evaluation = await executor.run(work.candidate({"shop/big.py": "#" * 5000}), seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert evaluation.exact[0].candidate > evaluation.exact[0].baseline
    assert evaluation.series == ()


async def test_writes_of_a_run_do_not_count(executor: LocalExecutor, work: Any, seen: Any) -> None:
    work.config = work.configured(SIZED)
    work.base = work.commit({"bench/run.sh": "rm -r shop; mkdir shop; echo x >shop/x\n"})
    evaluation = await executor.run(work.candidate(HALF), seen)
    assert evaluation.exact[0].candidate == evaluation.exact[0].baseline
    assert evaluation.exact[0].candidate[0] > 100


@pytest.mark.parametrize("whose", ["baseline", "candidate"])
async def test_nothing_to_weigh(executor: LocalExecutor, work: Any, seen: Any, whose: str) -> None:
    work.config = work.configured(SIZED.replace("shop/**", "data/*.bin"))
    files: dict[str, str | None] = {"data/a.bin": None}
    if whose == "candidate":
        work.base = work.commit({"data/a.bin": "xyz"})
    evaluation = await executor.run(work.candidate(files if whose == "candidate" else HALF), seen)
    expected = {"baseline": EvaluationStatus.ERROR, "candidate": EvaluationStatus.FAILED}[whose]
    assert evaluation.status is expected
    assert f"data/*.bin, and the {whose} has no bytes" in evaluation.cause


@needs_valgrind
async def test_instructions_are_exact(executor: LocalExecutor, work: Any, seen: Any) -> None:
    work.config = work.configured(COUNTED)
    evaluation = await executor.run(work.candidate(HALF), seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    (count,) = evaluation.exact
    assert count.metric == "instructions"
    assert len(count.baseline) == len(count.candidate) == 2
    assert len(set(count.baseline)) == len(set(count.candidate)) == 1
    assert count.candidate[0] < count.baseline[0]
    assert "instructions:total" in seen.stages


@needs_valgrind
async def test_equal_code_is_counted_once(executor: LocalExecutor, work: Any, seen: Any) -> None:
    work.config = work.configured(COUNTED)
    evaluation = await executor.run(work.candidate({"README": "x\n"}), seen)
    (count,) = evaluation.exact
    assert count.baseline == count.candidate
    assert len(count.baseline) == 1


@needs_valgrind
@pytest.mark.long
async def test_instructions_of_children_count(
    executor: LocalExecutor, work: Any, seen: Any
) -> None:
    """Work that is moved into another process is not saved."""
    work.config = work.configured(PYTHON)
    work.base = work.commit(SMALL)
    moved = """
        import subprocess, sys
        CODE = "print(sum(i * i % 7 for i in range(200)))"
        def total(n):
            return int(subprocess.check_output([sys.executable, "-I", "-S", "-c", CODE]))
    """
    evaluation = await executor.run(work.candidate({"shop/prices.py": moved}), seen)
    (count,) = evaluation.exact
    assert count.candidate[0] > 1.5 * count.baseline[0]


@needs_valgrind
async def test_a_crash_under_callgrind_is_the_candidates(
    executor: LocalExecutor, work: Any, seen: Any
) -> None:
    work.config = work.configured(COUNTED)
    work.base = work.commit({"bench/run.sh": ". shop/run\n", "shop/run": "true\n"})
    picky = """
        case "$OUROBOROS_RESULT_FD$PYTHONPATH" in
            3*witness*) ;;
            3*) kill -ABRT $$ ;;
        esac
    """
    evaluation = await executor.run(work.candidate({"shop/run": picky}), seen)
    assert evaluation.status is EvaluationStatus.FAILED
    assert evaluation.checks[-1].code == "crash"
    assert "under callgrind failed on the candidate" in evaluation.cause


STOP = """
    import ctypes, mmap
    # mov rax, rdi; xor edx, edx; valgrind's magic sequence (a client request); ret
    CODE = bytes.fromhex(
        "4889f8" "31d2" "48c1c703" "48c1c70d" "48c1c73d" "48c1c733" "4887db" "c3"
    )
    room = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    room.write(CODE)
    at = ctypes.addressof(ctypes.c_char.from_buffer(room))
    request = (ctypes.c_ulong * 6)(0x43540005)  # CALLGRIND_STOP_INSTRUMENTATION
    ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_void_p)(at)(ctypes.addressof(request))
    def total(n):
        return sum([i * i % 7 for i in range(n * 100)])
"""


@needs_valgrind
@pytest.mark.long
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the machine code is x86-64's")
async def test_a_candidate_can_stop_the_count_and_so_it_counts_as_reported(
    executor: LocalExecutor, work: Any, seen: Any
) -> None:
    """Why instructions have the source `reported`: a candidate with a hundred times the work."""
    work.config = work.configured(PYTHON)
    work.base = work.commit(SMALL)
    (spec,) = [s for s in specs_of(work.config, "total") if s.name == "instructions"]
    assert spec.source is Source.REPORTED
    evaluation = await executor.run(work.candidate({"shop/prices.py": STOP}), seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    (count,) = evaluation.exact
    assert count.candidate[0] < 2 * count.baseline[0]


async def test_without_valgrind_nothing_is_left_out_in_silence(
    executor: LocalExecutor, work: Any, seen: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "_PATH", str(tmp_path))
    work.config = work.configured(COUNTED)
    evaluation = await executor.run(work.candidate(HALF), seen)
    assert evaluation.status is EvaluationStatus.ERROR
    assert "no valgrind" in evaluation.cause
    assert "[benchmarks.total.metrics.instructions]" in evaluation.cause
    assert evaluation.checks == ()
