"""The cockpit's own colours; every theme of Textual can be chosen too.

`ouroboros` is dark and calm. `blue-orange` is for people who confuse red and green (the pairs of
Okabe and Ito, 2008). `paper` is for bright rooms. In all of them a state is a word and a symbol
as well; with `NO_COLOR` only these are left, and the selected row is shown reversed.
"""

from textual.theme import Theme

MONOCHROME = "-monochrome"

THEMES = (
    Theme(
        name="ouroboros",
        primary="#79b8ff",
        secondary="#b7a6f6",
        accent="#5fd3dc",
        success="#7fd88f",
        warning="#e8b84a",
        error="#ff8a7a",
        background="#10151b",
        surface="#171e26",
        panel="#1e2731",
        foreground="#d3dbe3",
        dark=True,
    ),
    Theme(
        name="blue-orange",
        primary="#f0e442",
        secondary="#cc79a7",
        accent="#e5e5e5",
        success="#56b4e9",
        warning="#f0e442",
        error="#e69f00",
        background="#101418",
        surface="#171c22",
        panel="#20262d",
        foreground="#dfe4e8",
        dark=True,
    ),
    Theme(
        name="paper",
        primary="#0b5cad",
        secondary="#6a4fb3",
        accent="#00717a",
        success="#1a7431",
        warning="#8a5a00",
        error="#b3261e",
        background="#fbfaf7",
        surface="#f2f0ea",
        panel="#e7e4dc",
        foreground="#1f2328",
        dark=False,
    ),
)
