"""Request targets: the page that was meant, and what was asked of it."""

from urllib.parse import unquote_plus

INDEX_NAMES = ("index.html", "index.htm", "index.php", "default.aspx")


def split_target(target: str) -> tuple[str, str]:
    """Return path and query string of a request target."""
    target = target.partition("#")[0]
    path, _, query = target.partition("?")
    return path, query


def page(target: str) -> str:
    """Return the page of a request target: lower case, no index file, no double slash."""
    path, _ = split_target(target)
    parts = []
    for part in path.lower().split("/"):
        if part and part != ".":
            parts.append(part)
    if parts and parts[-1] in INDEX_NAMES:
        parts.pop()
    return "/" + "/".join(parts)


def is_asset(target: str) -> bool:
    """Whether a request is for a part of a page and not for a page."""
    path, _ = split_target(target)
    _, dot, suffix = path.rpartition("/")[2].rpartition(".")
    return dot == "." and suffix.lower() in [
        "css", "js", "map", "png", "jpg", "jpeg", "gif", "svg", "webp", "ico", "woff", "woff2",
        "ttf", "mp4", "webm",
    ]


def parameters(query: str) -> dict[str, list[str]]:
    """Return the parameters of a query string, each with all its values."""
    found: dict[str, list[str]] = {}
    for part in query.split("&"):
        if not part:
            continue
        key, _, value = part.partition("=")
        key = unquote_plus(key)
        if key not in found:
            found[key] = []
        found[key].append(unquote_plus(value))
    return found


def breadcrumbs(target: str) -> list[str]:
    """Return the page and the pages above it, the root first."""
    crumbs = []
    current = page(target)
    while current != "/":
        crumbs.insert(0, current)
        current = current.rpartition("/")[0] or "/"
    crumbs.insert(0, "/")
    return crumbs
