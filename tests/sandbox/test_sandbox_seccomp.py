"""The filter of system calls: read by an interpreter of its own, and met for real from inside."""

import json
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.sandbox import Command, Sandbox, bwrap, seccomp
from ouroboros.sandbox.seccomp import MACHINES, Flavour, Need

Make = Callable[..., Command]

ALLOWED, EPERM, ENOSYS, KILLED = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
BOTH = [(flavour, arch) for flavour in Flavour for arch in MACHINES]

# What ordinary programs live on, by number on x86_64 and aarch64.
ORDINARY = {
    "read": (0, 63),
    "write": (1, 64),
    "openat": (257, 56),
    "close": (3, 57),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "futex": (202, 98),
    "execve": (59, 221),
    "exit_group": (231, 94),
    "wait4": (61, 260),
    "pipe2": (293, 59),
    "sendto": (44, 206),
    "recvfrom": (45, 207),
    "sendmsg": (46, 211),
    "kill": (62, 129),
    "prctl": (157, 167),
    "seccomp": (317, 277),
    "capset": (126, 91),
    "setuid": (105, 146),
    "setgid": (106, 144),
    "setresuid": (117, 147),
    "setgroups": (116, 159),
    "landlock_create_ruleset": (444, 444),
    "landlock_restrict_self": (446, 446),
    "rseq": (334, 293),
    "epoll_pwait": (281, 22),
    "fcntl": (72, 25),
    "unlinkat": (263, 35),
    "statx": (332, 291),
    "getrandom": (318, 278),
    "memfd_create": (319, 279),
    "pidfd_open": (434, 434),
    "clock_nanosleep": (230, 115),
    "timer_create": (222, 107),
    "waitid": (247, 95),
}


def answer(program: bytes, number: int, args: tuple[int, ...] = (), *, audit: int) -> int:
    """Interpret classic BPF as the kernel does, on the bytes of `struct seccomp_data`."""
    words = [*args, *[0] * (6 - len(args))]
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, audit, 0, *words)
    code = list(struct.iter_unpack("<HBBI", program))
    at = loaded = 0
    while True:
        op, then, other, k = code[at]
        at += 1
        match op:
            case 0x20:
                loaded = struct.unpack_from("<I", data, k)[0]
            case 0x54:
                loaded &= k
            case 0x15:
                at += then if loaded == k else other
            case 0x35:
                at += then if loaded >= k else other
            case 0x06:
                return int(k)
            case _:
                raise AssertionError(f"{op:#x} is not among what the kernel's checker was shown")


def asked(flavour: Flavour, arch: str, number: int, *args: int) -> int:
    return answer(seccomp.program(flavour, arch), number, args, audit=MACHINES[arch].audit)


def column(arch: str, numbers: tuple[int, int]) -> int:
    return numbers[MACHINES[arch].column]


@pytest.mark.parametrize(("flavour", "arch"), BOTH)
def test_every_row_of_the_tables_is_answered_as_it_says(flavour: Flavour, arch: str) -> None:
    rules = seccomp.rules(flavour, arch)
    assert {n: asked(flavour, arch, number) for n, number in rules.refused.items()} == (
        dict.fromkeys(rules.refused, EPERM)
    )
    assert {n: asked(flavour, arch, number) for n, number in rules.absent.items()} == (
        dict.fromkeys(rules.absent, ENOSYS)
    )
    numbers = [*rules.refused.values(), *rules.absent.values()]
    numbers += [number for number, _ in rules.judged.values()]
    assert len(numbers) == len(set(numbers)), "two rows of one number"


@pytest.mark.parametrize(("flavour", "arch"), BOTH)
def test_ordinary_calls_are_allowed(flavour: Flavour, arch: str) -> None:
    answers = {name: asked(flavour, arch, column(arch, row)) for name, row in ORDINARY.items()}
    assert answers == dict.fromkeys(ORDINARY, ALLOWED)


def holds(need: Need, args: tuple[int, ...]) -> bool:
    return ((args[need.arg] & 0xFFFFFFFF & need.mask) in need.values) == need.among


words = st.one_of(
    st.integers(0, 2**64 - 1),
    st.integers(0, 20),
    st.sampled_from([0x5412, 0x541C, 0x10000000, 0x40000, 0xFFFFFFFF, 0x80001, 0x80002]),
    st.sampled_from([0x5412, 1, 2, 10, 40]).map(lambda low: low | 1 << 32),
)


@given(st.sampled_from(BOTH), st.tuples(*[words] * 6))
def test_arguments_are_judged_by_what_the_kernel_will_read(
    which: tuple[Flavour, str], args: tuple[int, ...]
) -> None:
    for name, (number, needs) in seccomp.rules(*which).judged.items():
        fine = all(holds(need, args) for need in needs)
        assert asked(*which, number, *args) == (ALLOWED if fine else EPERM), name


@given(st.sampled_from(BOTH), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_foreign_numberings_are_killed(which: tuple[Flavour, str], number: int, audit: int) -> None:
    program, own = seccomp.program(*which), MACHINES[which[1]].audit
    if audit != own:
        assert answer(program, number, audit=audit) == KILLED


@pytest.mark.parametrize("flavour", Flavour)
def test_32_bit_calls_and_x32_calls_are_killed(flavour: Flavour) -> None:
    program = seccomp.program(flavour, "x86_64")
    i386, arm = 0x40000003, 0x40000028
    assert answer(program, 11, audit=i386) == KILLED
    assert answer(seccomp.program(flavour, "aarch64"), 11, audit=arm) == KILLED
    for number in (0, 59, 165, 520):
        assert answer(program, 0x40000000 | number, audit=MACHINES["x86_64"].audit) == KILLED


@pytest.mark.parametrize(("flavour", "arch"), BOTH)
def test_calls_younger_than_the_list_are_unknown(flavour: Flavour, arch: str) -> None:
    assert {asked(flavour, arch, number) for number in range(470, 1000)} == {ENOSYS}


@pytest.mark.parametrize(
    ("call", "args", "expected"),
    [
        ((56, 220), (0x003D0F00,), ALLOWED),  # a thread
        ((56, 220), (0x11,), ALLOWED),  # fork
        ((56, 220), (0x10000011,), EPERM),  # a user namespace
        ((56, 220), (0x11 | 1 << 32,), ALLOWED),
        ((16, 29), (0, 0x5413), ALLOWED),
        ((16, 29), (0, 0x5412), EPERM),
        ((16, 29), (0, 0x5412 | 7 << 32), EPERM),
        ((135, 92), (0xFFFFFFFF,), ALLOWED),
        ((135, 92), (0x0020000,), EPERM),
    ],
)
@pytest.mark.parametrize(("flavour", "arch"), BOTH)
def test_known_arguments(
    flavour: Flavour, arch: str, call: tuple[int, int], args: tuple[int, ...], expected: int
) -> None:
    assert asked(flavour, arch, column(arch, call), *args) == expected


SOCKET, PAIR, CONNECT = (41, 198), (53, 199), (42, 203)


@pytest.mark.parametrize("arch", MACHINES)
def test_sockets(arch: str) -> None:
    def say(flavour: Flavour, call: tuple[int, int], *args: int) -> int:
        return asked(flavour, arch, column(arch, call), *args)

    for family in range(64):
        fine = family in (1, 2, 10, 16)
        assert say(Flavour.BWRAP, SOCKET, family, 1) == (ALLOWED if fine else EPERM)
        assert say(Flavour.LANDLOCK, SOCKET, family, 1) == EPERM
    assert say(Flavour.BWRAP, CONNECT) == ALLOWED
    assert say(Flavour.LANDLOCK, CONNECT) == EPERM
    for kind, fine in ((1, True), (5, True), (2, False), (3, False)):  # datagrams reach anybody
        expected = ALLOWED if fine else EPERM
        assert say(Flavour.LANDLOCK, PAIR, 1, kind | 0o2000000) == expected
        assert say(Flavour.LANDLOCK, PAIR, 2, kind) == EPERM


def test_names_and_numbers_are_those_of_this_machines_headers() -> None:
    """Whoever has the kernel's headers checks the column of this machine against them."""
    listed = Path("/usr/include", f"{os.uname().machine}-linux-gnu", "asm", "unistd_64.h")
    if not listed.is_file():
        pytest.skip("no kernel headers here")
    rows = (line.split() for line in listed.read_text().splitlines())
    headers = {row[1].removeprefix("__NR_"): int(row[2]) for row in rows if len(row) == 3}
    arch = seccomp.machine()
    assert arch is not None
    for flavour in Flavour:
        rules = seccomp.rules(flavour, arch)
        ours = rules.refused | rules.absent | {n: row[0] for n, row in rules.judged.items()}
        known = {name: number for name, number in ours.items() if name in headers}
        assert len(known) > 60
        assert known == {name: headers[name] for name in known}


def test_the_column_of_aarch64_is_the_generic_one() -> None:
    listed = Path("/usr/include/asm-generic/unistd.h")
    if not listed.is_file():
        pytest.skip("no kernel headers here")
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", listed.read_text())
    headers = {name: int(number) for name, number in reversed(found)}
    for flavour in Flavour:
        rules = seccomp.rules(flavour, "aarch64")
        ours = rules.refused | rules.absent | {n: row[0] for n, row in rules.judged.items()}
        known = {name: number for name, number in ours.items() if name in headers}
        assert len(known) > 60
        assert known == {name: headers[name] for name in known}


# --- for real ------------------------------------------------------------------------------------

ASK = """
import ctypes, json, sys
libc = ctypes.CDLL(None, use_errno=True)
told = {}
for name, number in json.loads(sys.argv[1]).items():
    ctypes.set_errno(0)
    back = libc.syscall(number, *[ctypes.c_long(-1)] * 6)
    told[name] = [back, ctypes.get_errno()]
print(json.dumps(told))
"""


async def test_every_refused_call_is_refused_inside(sandbox: Sandbox, python: Make) -> None:
    arch = seccomp.machine()
    assert arch is not None
    assert sandbox.level.seccomp
    rules = seccomp.rules(Flavour.BWRAP, arch)
    base = python(ASK)
    for table, errno in ((rules.refused, 1), (rules.absent, 38)):
        command = Command(
            argv=(*base.argv, json.dumps(table)),
            python=base.python,
            limits=base.limits,
            timeout=base.timeout,
        )
        outcome = await sandbox.run(command)
        assert outcome.ok, outcome
        assert json.loads(outcome.stdout) == {name: [-1, errno] for name in table}


@pytest.mark.parametrize("sandbox", ["bwrap", "watched"], indirect=True)
async def test_calls_that_need_no_rights_are_refused_by_the_filter_alone(
    sandbox: Sandbox, python: Make
) -> None:
    code = """
import ctypes, errno, fcntl, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def call(function, *args):
    ctypes.set_errno(0)
    assert function(*args) == -1 and ctypes.get_errno() == errno.EPERM, (function, args)
call(libc.ptrace, 0, 0, 0, 0)
call(libc.unshare, 0x10000000)
call(libc.personality, 0x0020000)
assert libc.personality(0xffffffff) != -1
for family in (socket.AF_VSOCK, socket.AF_ALG, socket.AF_PACKET):
    try:
        socket.socket(family, socket.SOCK_RAW)
        raise SystemExit(f"opened {family}")
    except PermissionError:
        pass
master, slave = os.openpty()
try:
    fcntl.ioctl(slave, 0x5412, b"x")
    raise SystemExit("typed into a terminal")
except PermissionError:
    pass
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
assert status["Seccomp"].strip() == "2"
assert sorted(map(int, os.listdir("/proc/self/fd")))[:3] == [0, 1, 2]
assert len(os.listdir("/proc/self/fd")) == 3 + 2 + 1, os.listdir("/proc/self/fd")
"""
    outcome = await sandbox.run(python(code))
    assert outcome.ok, outcome


async def test_a_call_of_another_numbering_kills(sandbox: Sandbox, python: Make) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("x32 is x86_64's")
    code = "import ctypes; ctypes.CDLL(None).syscall(0x40000000 | 39); print('lives')"
    outcome = await sandbox.run(python(code))
    assert (outcome.signal, outcome.stdout) == (31, b""), outcome


ORDINARY_PYTHON = """
import asyncio, mmap, multiprocessing, os, sqlite3, subprocess, sys, tempfile, threading

async def across():
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    thread = threading.Timer(0.05, lambda: loop.call_soon_threadsafe(event.set))
    thread.start()
    await asyncio.wait_for(event.wait(), 10)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "print(1)", stdout=subprocess.PIPE)
    assert (await process.communicate())[0] == b"1\\n"

asyncio.run(across())
assert subprocess.run(["sh", "-c", "echo x | cat"], capture_output=True).stdout == b"x\\n"
database = sqlite3.connect(os.path.join(tempfile.gettempdir(), "d.sqlite"))
database.execute("pragma journal_mode=wal")
database.execute("create table t (x)")
database.execute("insert into t values (1)")
database.commit()
with mmap.mmap(-1, 1 << 20) as area:
    area[:3] = b"abc"
found = []
threads = [threading.Thread(target=found.append, args=(i,)) for i in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
assert sorted(found) == list(range(8))
"""


async def test_ordinary_python_works(sandbox: Sandbox, python: Make) -> None:
    code = f"""{ORDINARY_PYTHON}
import socket
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(abs, [-1, -2]) == [1, 2]
async def loopback():
    async def serve(reader, writer):
        writer.write(await reader.readline())
        await writer.drain(); writer.close()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"x\\n")
    assert await reader.readline() == b"x\\n"
    writer.close(); server.close()
asyncio.run(loopback())
socket.if_nameindex()
"""
    outcome = await sandbox.run(python(code))
    assert outcome.ok, outcome


async def test_a_machine_without_a_filter_is_recorded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limits: object, python: Make
) -> None:
    monkeypatch.setattr(bwrap.seccomp, "machine", lambda: None)
    box = await Sandbox.open(python("").limits, tmp_path)
    try:
        assert not box.level.seccomp
        assert (await box.run(python("print(1)"))).stdout == b"1\n"
    finally:
        await box.close()
