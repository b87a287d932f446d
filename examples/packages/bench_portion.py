"""Build, combine and query interval sets, as a booking calendar would."""

import random

import portion as P

rng = random.Random(7)


def calendar(bookings: int) -> P.Interval:
    busy = P.empty()
    for _ in range(bookings):
        start = rng.randrange(10_000)
        busy |= P.closedopen(start, start + rng.randrange(1, 40))
    return busy


def main() -> None:
    rooms = [calendar(60) for _ in range(4)]
    anyone, everyone = P.empty(), P.closed(0, 20_000)
    for room in rooms:
        anyone |= room
        everyone &= ~room
    hits = sum(moment in anyone for moment in range(0, 10_000, 23))
    table = P.IntervalDict()
    for number, room in enumerate(rooms):
        table[room] = number
    print(len(anyone), len(everyone), hits, len(table))


main()
