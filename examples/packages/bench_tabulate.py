"""Print result tables in several formats, as a report or a command line tool would."""

from tabulate import tabulate

ROWS = [
    [i, f"name {i % 13}", i * 1.5, None if i % 7 == 0 else "x" * (i % 23), i % 2 == 0]
    for i in range(120)
]


def main() -> None:
    size = 0
    for style in ("plain", "grid", "github", "html", "psql"):
        size += len(tabulate(ROWS, headers=["id", "name", "value", "text", "flag"], tablefmt=style))
    print(size)


main()
