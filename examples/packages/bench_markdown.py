"""Convert an ordinary document with tables, lists, code and links, as a site generator would."""

import markdown

PAGE = """
# Heading *one*

A paragraph with `code`, **bold**, a [link](https://example.org "title") and an ![image](a.png).
Another line with an auto link <https://example.org> and a footnote[^1].

- first item
- second item with `code`
    - nested item
    - another

1. one
2. two

> A quotation of some length that goes on
> over two lines.

| name | value |
|------|-------|
| a    | 1     |
| b    | 2     |

```python
def f(x):
    return x + 1
```

Term
:   Definition of the term, with *emphasis*.

[^1]: The footnote.
"""


def main() -> None:
    converter = markdown.Markdown(extensions=["extra", "toc", "sane_lists"])
    size = 0
    for _ in range(8):
        size += len(converter.reset().convert(PAGE * 3))
    print(size)


main()
