"""User agents: which are robots, and which browser the others are."""

BOT_MARKERS = [
    "googlebot", "bingbot", "slurp", "duckduckbot", "baiduspider", "yandexbot", "facebot",
    "ia_archiver", "ahrefsbot", "semrushbot", "dotbot", "mj12bot", "petalbot", "crawler",
    "spider", "curl/", "wget/", "python-requests", "headless",
]

BROWSERS = [
    ("edg/", "Edge"),
    ("opr/", "Opera"),
    ("firefox/", "Firefox"),
    ("chrome/", "Chrome"),
    ("safari/", "Safari"),
]


def is_bot(agent: str) -> bool:
    """Whether a user agent names a robot; no agent at all counts as one."""
    found = agent.strip() in ("", "-")
    for marker in BOT_MARKERS:
        if marker in agent.lower():
            found = True
    return found


def browser(agent: str) -> str:
    """Return the browser's name, or `other`."""
    for marker, name in BROWSERS:
        if marker in agent.lower():
            return name
    return "other"


def is_mobile(agent: str) -> bool:
    """Whether a user agent is a phone or tablet."""
    lowered = agent.lower()
    return any([word in lowered for word in ("mobile", "android", "iphone", "ipad")])
