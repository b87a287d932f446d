"""One meaning of a path glob, for protected paths, target paths and the screen alike.

Why not `fnmatch` or `PurePath.match`: the first lets `*` cross a `/`, so that `tests/*` would be
wider than it reads; the second only learnt `**` in Python 3.13. Three readings of one protected
list would be a hole in it, so that there is one function, and everyone calls it.

The rules, on repository-relative POSIX paths, case-sensitive, always anchored at the root:

- `*`, `?` and `[...]` (`[!...]`) match within one component, dots included;
- a component `**` matches any number of components, none included: `**/x` also matches `x`, and
  `tests/**` also matches `tests` itself (a file or symlink that takes the folder's place);
- a pattern that ends in `/` means everything below it;
- an unclosed `[` is a plain character.
"""

import functools
import re
from collections.abc import Sequence


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Whether any of the patterns matches the whole path.

    Args:
        path: relative to the repository's root, with `/`; the caller has refused `..` already.
        patterns: globs as in `[governor] protected`; none of them matches nothing.
    """
    return any(_compiled(pattern).fullmatch(path) for pattern in patterns)


@functools.lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = [p for p in pattern.removesuffix("/").split("/") if p not in ("", ".")]
    if pattern.endswith("/"):
        parts.append("**")
    squeezed = [p for i, p in enumerate(parts) if p != "**" or i == 0 or parts[i - 1] != "**"]
    return re.compile(_expression(squeezed), re.DOTALL)


def _expression(parts: list[str]) -> str:
    """Build the expression; each `**` brings its own slash, so that it can also match nothing."""
    if parts == ["**"]:
        return ".*"
    out: list[str] = []
    last = len(parts) - 1
    for index, part in enumerate(parts):
        if part == "**":
            out.append("(?:/.*)?" if index == last else "(?:[^/]+/)*")
            continue
        out.append(_component(part))
        if index != last and parts[index + 1 :] != ["**"]:
            out.append("/")
    return "".join(out)


def _component(part: str) -> str:
    out: list[str] = []
    at = 0
    while at < len(part):
        char = part[at]
        end = part.find("]", at + 3 if part[at + 1 : at + 2] == "!" else at + 2)
        if char == "[" and end != -1:
            out.append(_character_class(part[at + 1 : end]))
            at = end
        elif char == "*":
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        else:
            out.append(re.escape(char))
        at += 1
    return "".join(out)


def _character_class(body: str) -> str:
    """Translate the inside of `[...]`; a backward range such as `z-a` stands for no character."""
    negated = body.startswith("!")
    chars = body[1:] if negated else body
    listed: list[str] = []
    at = 0
    while at < len(chars):
        if chars[at + 1 : at + 2] == "-" and at + 2 < len(chars):
            low, high = chars[at], chars[at + 2]
            listed += [f"{re.escape(low)}-{re.escape(high)}"] if low <= high else []
            at += 3
        else:
            listed.append(re.escape(chars[at]))
            at += 1
    if not listed:
        return "[^/]" if negated else "(?!)"
    return f"(?!/)[{'^' if negated else ''}{''.join(listed)}]"
