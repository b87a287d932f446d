"""Names that look like other names: of several scripts, or of one that mimics Latin. Pure."""

import io
import re
import tokenize
import unicodedata
from collections.abc import Iterator, Sequence

from ouroboros.evaluation.screen.lines import Line
from ouroboros.evaluation.screen.marks import Finding

_WORD = re.compile(r"[^\W\d]\w*")
_LIKE_LATIN = frozenset(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0455\u0458\u0501\u051b\u04bb\u04cf\u051d"
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0406\u0405\u0408"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7"
    "\u03bf\u03bd\u03b1\u03b9\u03c1\u03c5\u0261\u0251"
)
_MAX = 256 * 1024


def lookalikes(lines: Sequence[Line], python: dict[str, bytes]) -> Iterator[Finding]:
    """Find names on new lines that are not what they look like.

    Args:
        lines: the new lines.
        python: the Python files that changed, as they are now: there, names are told from text.
    """
    wanted = {(line.path, line.number): line.text for line in lines if not line.text.isascii()}
    if not wanted:
        return
    for path, content in python.items():
        for number, name in _names(content):
            detail = _wrong(name, strict=True)
            if detail and (path, number) in wanted:
                yield Finding("mixed-script", path, number, detail, wanted[path, number])
    for (path, number), text in wanted.items():
        if path not in python:
            for word in _WORD.findall(text[:4000]):
                detail = _wrong(word, strict=False)
                if detail:
                    yield Finding("mixed-script", path, number, detail, text)


def _names(content: bytes) -> Iterator[tuple[int, str]]:
    """Yield the names of a Python file that are not ASCII, as far as it can be read."""
    if content.isascii() or len(content) > _MAX:
        return
    text = io.StringIO(content.decode("utf-8", "replace"))
    try:
        for token in tokenize.generate_tokens(text.readline):
            if token.type == tokenize.NAME and not token.string.isascii():
                yield token.start[0], token.string
    except (tokenize.TokenError, SyntaxError, RecursionError, MemoryError):
        return  # what cannot be read is a finding of its own


def _wrong(name: str, *, strict: bool) -> str:
    """Return what is wrong with a name; empty where nothing is."""
    if name.isascii():
        return ""
    if strict and unicodedata.normalize("NFKC", name).isascii():
        return f"{name} is read as {unicodedata.normalize('NFKC', name)}"
    scripts = {_script(c) for c in name if c.isalpha()}
    if len(scripts & {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"}) > 1:
        return f"{name} mixes {' and '.join(sorted(scripts))}"
    if strict and all(c in _LIKE_LATIN or c.isascii() for c in name):
        return f"{name} has only letters that look like Latin ones"
    return ""


def _script(char: str) -> str:
    return unicodedata.name(char, "?").split(" ")[0]
