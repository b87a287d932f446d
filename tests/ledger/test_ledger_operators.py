"""Operators' signatures against the real ssh-keygen, both ways."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ouroboros.errors import SignatureError
from ouroboros.ledger import operators
from ouroboros.model.statement import Statement, parse_statement

HOUR = 3600 * 10**9
ACT = Statement(
    action="approve",
    target="calc-1",
    subject="c3",
    commit="c" * 40,
    policy="p" * 64,
    signed=10 * HOUR,
    expires=11 * HOUR,
)

pytestmark = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="needs ssh-keygen (openssh-client)"
)


def make_key(folder: Path, name: str = "ann", kind: str = "ed25519") -> Path:
    key = folder / name
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", f"{name}@host", "-f", str(key)], check=True
    )
    return key


def sign(key: Path, text: str, namespace: str = "ouroboros", *options: str) -> str:
    done = subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", namespace, *options],
        input=text,
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout


def public(key: Path) -> bytes:
    return operators.parse_key(key.with_suffix(".pub").read_text())


@pytest.mark.parametrize("options", [(), ("-O", "hashalg=sha256")])
def test_what_ssh_keygen_signs_is_accepted(tmp_path: Path, options: tuple[str, ...]) -> None:
    key = make_key(tmp_path)
    armor = sign(key, ACT.text(), "ouroboros", *options)
    known = {"bob": b"b" * 32, "ann": public(key)}
    kept = operators.judge(ACT.text(), armor, known, expected=ACT, now=10 * HOUR + 1)
    assert (kept.operator, kept.statement, kept.armor) == ("ann", ACT.text(), armor)


def test_ssh_keygen_accepts_what_the_ledger_keeps(tmp_path: Path) -> None:
    """The auditor's way: statement and signature to files, and the tool that everybody has."""
    key = make_key(tmp_path)
    kept = operators.judge(
        ACT.text(), sign(key, ACT.text()), {"ann": public(key)}, expected=ACT, now=10 * HOUR
    )
    (tmp_path / "sig").write_text(kept.armor)
    (tmp_path / "allowed").write_text(f"ann {key.with_suffix('.pub').read_text()}")
    command = ["ssh-keygen", "-Y", "verify", "-f", "allowed", "-I", "ann", "-n", "ouroboros"]
    for text, code in ((kept.statement, 0), (kept.statement.replace("c3", "c4"), 255)):
        done = subprocess.run([*command, "-s", "sig"], input=text.encode(), cwd=tmp_path)
        assert done.returncode == code


def test_everything_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    key, other = make_key(tmp_path), make_key(tmp_path, "eve")
    known = {"ann": public(key)}
    good = sign(key, ACT.text())

    def refused(match: str, text: str, armor: str, act: Statement = ACT, now: int = 0) -> None:
        with pytest.raises(SignatureError, match=match):
            operators.judge(text, armor, known, expected=act, now=now or 10 * HOUR)

    refused("not one of an operator's", ACT.text(), sign(other, ACT.text()))
    refused("not one of an operator's", ACT.text(), sign(key, ACT.text(), "git"))
    refused("not one of an operator's", ACT.text(), sign(key, "something else"))
    refused("not one of an operator's", ACT.text(), good.replace("U1NIU0lH", "U1NIU0lI"))
    refused("not one of an operator's", ACT.text(), "")
    refused("is no statement", "something else", sign(key, "something else"))
    refused("is no statement", ACT.text() + "\n", sign(key, ACT.text() + "\n"))
    for name, value in (
        ("action", "deny"),
        ("target", "calc-2"),
        ("subject", "c4"),
        ("commit", "d" * 40),
        ("policy", "q" * 64),
    ):
        refused(f"says {name}", ACT.text(), good, replace(ACT, **{name: value}))
    refused("a time that is over", ACT.text(), good, now=11 * HOUR)
    refused("begins later", ACT.text(), good, now=10 * HOUR - operators.SKEW_NS - 1)
    week = replace(ACT, expires=ACT.signed + 7 * 24 * HOUR)
    refused("more than a day", week.text(), sign(key, week.text()))


def test_only_ed25519(tmp_path: Path) -> None:
    key = make_key(tmp_path, kind="ecdsa")
    line = key.with_suffix(".pub").read_text()
    with pytest.raises(ValueError, match="ssh-ed25519"):
        operators.parse_key(line)
    with pytest.raises(ValueError, match="line 2: expected a key"):
        operators.parse_allowed(f"# people\nann {line}")


def test_allowed_signers(tmp_path: Path) -> None:
    key = make_key(tmp_path)
    line = key.with_suffix(".pub").read_text().strip()
    text = f'# people\n\nann {line}\nbob namespaces="ouroboros" {line}\n'
    assert operators.parse_allowed(text) == {"ann": public(key), "bob": public(key)}
    for options in ('namespaces="git"', "cert-authority", 'valid-before="20200101"'):
        with pytest.raises(ValueError, match="line 1"):
            operators.parse_allowed(f"ann {options} {line}")


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    key = make_key(tmp_path_factory.mktemp("key"))
    return sign(key, ACT.text()), public(key)


@given(data=st.data())
def test_no_altered_signature_verifies(signed: tuple[str, bytes], data: st.DataObject) -> None:
    armor, key = signed
    assert operators.verify(ACT.text().encode(), armor, key)
    lines = armor.split("\n")
    at = data.draw(st.integers(1, len(lines) - 4))  # the last line has spare bits
    column = data.draw(st.integers(0, len(lines[at]) - 1))
    letter = data.draw(st.sampled_from("ABCDwxyz0189+/="))
    if lines[at][column] == letter:
        return
    lines[at] = lines[at][:column] + letter + lines[at][column + 1 :]
    assert not operators.verify(ACT.text().encode(), "\n".join(lines), key)


@given(st.text(max_size=200))
def test_rubbish_never_raises_anything_else(text: str) -> None:
    assert not operators.verify(b"x", text, b"k" * 32)
    with pytest.raises(ValueError, match="expected"):
        operators.parse_key(text)
    with pytest.raises(ValueError, match="expected"):
        parse_statement(text)


def test_a_statement_holds_no_second_line() -> None:
    assert parse_statement(ACT.text()) == ACT
    for value in ("c3\naction: deny", "c 3", "ç"):
        with pytest.raises(ValueError, match="subject cannot be part"):
            replace(ACT, subject=value).text()
