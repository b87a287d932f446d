"""Signed heads: the formats of others, and what is refused."""

import base64
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.errors import HeadError
from ouroboros.ledger import heads, note
from ouroboros.ledger.note import Checkpoint
from ouroboros.ledger.store import Store

KEY = note.new_signer("ouroboros/calc-1", bytes(range(32)))
CHECKPOINT = Checkpoint(origin="ouroboros/calc-1", size=7, root=b"\x07" * 32, ts=8)

# From golang.org/x/mod/sumdb/note, whose documentation prints this key, note and signature.
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6"
    "KE6RyyBwJnAM=\n"
)


def test_a_note_of_the_go_implementation_verifies() -> None:
    key = note.parse_verifier(GO_VKEY)
    assert str(key) == GO_VKEY
    assert note.parse(GO_NOTE).verified_by(key)
    assert not note.parse(GO_NOTE.replace("answer", "Answer")).verified_by(key)
    with pytest.raises(HeadError, match="not origin, size and root"):
        _ = note.parse(GO_NOTE).checkpoint


def test_a_head_comes_back_and_is_signed() -> None:
    signed = note.sign(CHECKPOINT, KEY)
    assert signed.startswith("ouroboros/calc-1\n7\nBwcHBwcH")
    parsed = note.parse(signed)
    assert parsed.checkpoint == CHECKPOINT
    assert parsed.verified_by(KEY.verifier)
    assert not parsed.verified_by(note.new_signer(KEY.name, b"x" * 32).verifier)
    assert note.parse_signer(KEY.encoded()) == KEY
    assert "AAEC" not in repr(KEY)  # a private key that ends in a log is no longer private


def test_openssl_says_the_same(tmp_path: Path) -> None:
    """An auditor without our code: the key in the usual wrapping, the signature in a file."""
    signed = note.parse(note.sign(CHECKPOINT, KEY))
    der = bytes.fromhex("302a300506032b6570032100") + KEY.verifier.public
    (tmp_path / "key.der").write_bytes(der)
    (tmp_path / "text").write_text(signed.text)
    (tmp_path / "sig").write_bytes(signed.signatures[0][2])
    done = subprocess.run(
        [
            "openssl",
            "pkeyutl",
            "-verify",
            "-pubin",
            "-inkey",
            "key.der",
            "-keyform",
            "DER",
            "-rawin",
            "-in",
            "text",
            "-sigfile",
            "sig",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Verified Successfully" in done.stdout


@given(st.data())
def test_no_altered_note_verifies(data: st.DataObject) -> None:
    signed = note.sign(CHECKPOINT, KEY).encode()
    at = data.draw(st.integers(0, len(signed) - 1))
    altered = signed[:at] + bytes([signed[at] ^ data.draw(st.integers(1, 255))]) + signed[at + 1 :]
    try:
        parsed = note.parse(altered.decode())
        same = parsed.text == note.parse(signed.decode()).text
        verified = parsed.verified_by(KEY.verifier)
    except (HeadError, UnicodeDecodeError):
        return
    # Spare bits of base64 padding may differ; the text never.
    assert not verified or same


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "a\n7\nb\n",
        "ouroboros/x\n7\nBwc=\n\n— ouroboros/x AAAA\n",
        "ouroboros/x\n7\nBwc=\n\nouroboros/x AAAAAAAA\n",
        "ouroboros/x\n7\nBwc=\n\n— ouroboros/x !!!!\n",
    ],
)
def test_what_is_no_note_is_refused(text: str) -> None:
    with pytest.raises(HeadError, match="No signed head"):
        note.parse(text)


@pytest.mark.parametrize("size", ["-1", "007", "1e3", "", "9" * 30, "٣"])
def test_sizes_are_plain_numbers(size: str) -> None:
    root = base64.b64encode(b"\x07" * 32).decode()
    with pytest.raises(HeadError):
        _ = note.parse(f"o\n{size}\n{root}\n\n— o {'A' * 92}\n").checkpoint


@pytest.mark.parametrize("text", ["", "a+b", "a+00000000+AAAA", GO_VKEY.replace("c74f", "c74e")])
def test_keys_that_are_none(text: str) -> None:
    with pytest.raises(HeadError):
        note.parse_verifier(text)


def test_notes_are_found_in_a_file() -> None:
    other = note.sign(Checkpoint(origin="ouroboros/calc-1", size=9, root=b"\x09" * 32), KEY)
    first = note.sign(CHECKPOINT, KEY)
    assert list(note.notes_in(f"{first}\n{other}\n")) == [first, other]
    assert list(note.notes_in(first.rstrip("\n"))) == [first]
    assert list(note.notes_in(first.replace("\n", "\r\n"))) == [first]
    assert list(note.notes_in("nothing\nhere\n")) == []


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    key = heads.key_of(tmp_path, "calc-1")
    assert heads.key_of(tmp_path, "calc-1") == key
    assert stat.S_IMODE((tmp_path / heads.KEY_FILE).stat().st_mode) == 0o600
    assert heads.verifier_of(tmp_path) == key.verifier
    assert sorted(p.name for p in tmp_path.iterdir()) == ["head.key", "head.vkey"]
    with pytest.raises(HeadError, match="belongs to ouroboros/calc-1, not to ouroboros/other"):
        heads.key_of(tmp_path, "other")
    (tmp_path / heads.KEY_FILE).chmod(0o644)
    with pytest.raises(HeadError, match="can be read by others"):
        heads.key_of(tmp_path, "calc-1")
    (tmp_path / heads.KEY_FILE).write_text("rubbish")
    with pytest.raises(HeadError, match="Expected a private key"):
        heads.key_of(tmp_path, "calc-1")


def test_a_head_is_signed_when_something_was_added(
    filled: Callable[[int], Store], tmp_path: Path
) -> None:
    key = heads.key_of(tmp_path, "calc-1")
    store = filled(3)
    signed = heads.sign_head(store, key, ts=5)
    assert signed is not None
    assert heads.sign_head(store, key, ts=6) is None
    parsed = note.parse(signed.note)
    assert parsed.verified_by(key.verifier)
    assert parsed.checkpoint == Checkpoint(origin=key.name, size=3, root=store.root(3), ts=5)
    filled(1)
    assert heads.sign_head(store, key, ts=7) is not None
    assert [h.size for h in store.heads()] == [3, 4]
    assert [h.size for h in store.heads(newest=True, limit=1)] == [4]
    covering = store.covering(4)
    assert covering is not None
    assert covering.size == 4
    assert store.covering(5) is None


def test_an_empty_ledger_has_no_head(store: Store, tmp_path: Path) -> None:
    assert heads.sign_head(store, heads.key_of(tmp_path, "calc-1"), ts=5) is None


def test_heads_are_appended_to_a_second_file(tmp_path: Path) -> None:
    first = note.sign(CHECKPOINT, KEY)
    for _ in range(2):
        heads.append_to(tmp_path / "heads", first)
    assert list(note.notes_in((tmp_path / "heads").read_text())) == [first, first]
    with pytest.raises(HeadError, match="cannot be written: No such file"):
        heads.append_to(tmp_path / "no" / "heads", first)
