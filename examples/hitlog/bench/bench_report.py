"""A morning's log, generated the same way each time, from lines to the printed report."""

import random
import sys
import zlib

from hitlog import analyse, render

HITS = 4000
START = 8 * 3600
AGENTS = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Mobile Safari/604.1",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0 Mobile Safari",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "python-requests/2.32",
]
WORDS = (
    "blue red green table chair lamp desk oak pine steel the a for with and in of small large "
    "round square garden kitchen office bath hall shelf mirror rug curtain sofa bench stool hook"
).split()


def target(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.25:
        return f"/static/{rng.randrange(40)}.{rng.choice(['css', 'js', 'png', 'woff2'])}"
    if kind < 0.52:
        phrase = "+".join(rng.choice(WORDS) for _ in range(7))
        return f"/search?q={phrase}{rng.randrange(60)}&page={rng.randrange(3)}"
    if kind < 0.65:
        return f"/shop/list?colour={rng.choice(WORDS[:3])}&sort={rng.randrange(8)}"
    section = rng.choice(("shop", "blog", "Help", "shop/sale"))
    return f"/{section}/{rng.randrange(140)}/index.html"


def log(hits: int, rng: random.Random) -> list[str]:
    lines = []
    clock = START
    for _ in range(hits):
        clock += rng.randrange(5)
        hour, minute, second = clock // 3600, clock // 60 % 60, clock % 60
        number = rng.randrange(240)
        host = f"10.0.{number // 100}.{number % 100}"
        agent = AGENTS[number % len(AGENTS)]
        status = rng.choice((200, 200, 200, 200, 304, 301, 404))
        lines.append(
            f"{host} - - [10/Oct/2024:{hour:02}:{minute:02}:{second:02} +0000] "
            f'"GET {target(rng)} HTTP/1.1" {status} {rng.randrange(200, 90000)} "-" "{agent}"'
        )
    return lines


def case(rng: random.Random) -> tuple[list[str]]:
    """Return the arguments of one call of `analyse`: the challenge's generator."""
    lines = log(rng.randrange(1200, 2000), rng)
    for _ in range(rng.randrange(4)):
        lines.insert(rng.randrange(len(lines)), rng.choice(("", "not a hit", lines[0][:40])))
    return (lines,)


def main() -> None:
    text = render(analyse(log(HITS, random.Random(7))))
    sys.stdout.write(f"report of {len(text)} characters, crc {zlib.crc32(text.encode()):08x}\n")


if __name__ == "__main__":
    main()
