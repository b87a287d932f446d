"""A data-cleaning job made of the package's own building blocks."""

import more_itertools as mi


def main() -> None:
    rows = [(i * 7919) % 1000 for i in range(3000)]
    total = 0
    total += sum(len(c) for c in mi.chunked(rows, 7))
    total += sum(len(w) for w in mi.windowed(rows, 5))
    total += len(list(mi.unique_everseen(rows)))
    total += len(list(mi.unique_everseen([[r % 97] for r in rows])))
    total += sum(len(list(g)) for g in mi.split_when(rows, lambda a, b: b < a))
    total += len(list(mi.interleave_longest(rows, rows[:100], rows[:500])))
    total += sum(1 for _ in mi.set_partitions(range(7)))
    total += sum(1 for _ in mi.distinct_permutations("aabbccd"))
    total += len(list(mi.sliding_window(rows, 9)))
    total += sum(p[0] for p in mi.run_length.encode(sorted(r % 50 for r in rows)))
    total += len(list(mi.collapse([[r, [r]] for r in rows[:800]])))
    print(total)


main()
