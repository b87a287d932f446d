"""Parse arithmetic and a small configuration language with grammars of ordinary shape."""

import pyparsing as pp

number = pp.Regex(r"\d+(\.\d+)?").set_parse_action(lambda t: float(t[0]))
name = pp.Word(pp.alphas, pp.alphanums + "_")
expression = pp.infix_notation(
    number | name,
    [
        (pp.one_of("* /"), 2, pp.OpAssoc.LEFT),
        (pp.one_of("+ -"), 2, pp.OpAssoc.LEFT),
    ],
)
value = pp.QuotedString('"') | expression
setting = pp.Group(name("key") + pp.Suppress("=") + value("value"))
section = pp.Group(
    pp.Suppress("[") + name("name") + pp.Suppress("]") + pp.Group(setting[...])("settings")
)
document = section[...]
document.ignore("#" + pp.rest_of_line)

TEXT = "\n".join(
    f'[part_{i}]  # number {i}\nwidth = {i} + 2 * 3 - 4 / 2\nlabel = "text {i}"\nratio = a * {i}.5 + b'
    for i in range(12)
)


def main() -> None:
    found = document.parse_string(TEXT, parse_all=True)
    print(len(found), sum(len(part.settings) for part in found))


main()
