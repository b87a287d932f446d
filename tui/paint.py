"""The one place where spans become terminal cells, and thus the last guard for foreign text.

Every text passes `safe_text` here, whatever was done to it before (it is idempotent): no control
character can leave this module, and no string ever reaches an API that parses markup.
"""

from functools import lru_cache
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from ouroboros.model.text import safe_text
from tui.words import ASCII, UNICODE, Glyphs, Line

ROLES = (
    "dim",
    "muted",
    "strong",
    "head",
    "good",
    "bad",
    "wait",
    "busy",
    "info",
    "accent",
    "banner-bad",
    "banner-wait",
    "banner-info",
    "add",
    "del",
    "sign-add",
    "sign-del",
    "hunk",
    "file",
    "tok-comment",
    "tok-string",
    "tok-number",
    "tok-keyword",
    "tok-name",
    "tok-builtin",
    "key",
    "key-name",
    "off",
    "tab",
    "tab-on",
    "cursor",
    "cursor-blurred",
    "columns",
)
"""Every role that a span may have; `app.tcss` gives each one its looks (`.role--NAME`)."""


@lru_cache(maxsize=8192)
def harmless(text: str, *, ascii_only: bool = False) -> str:
    """Return the text as it may go to a terminal, on one line."""
    text = safe_text(text).replace("\n", " ").replace("\t", "    ")
    return text.encode("ascii", "replace").decode() if ascii_only else text


class Painted(Widget):
    """A widget that shows lines of spans."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"role--{role}" for role in ROLES}

    @property
    def glyphs(self) -> Glyphs:
        """The symbols that this terminal can show."""
        return ASCII if self.ascii_only else UNICODE

    @property
    def ascii_only(self) -> bool:
        """Whether the terminal's character set is not Unicode."""
        return bool(getattr(self.app, "ascii_only", False))

    def style_of(self, role: str) -> Style:
        """The style of a role, without a background of its own unless it sets one.

        Translucent colours are laid over the widget's own background here: Rich knows no alpha,
        and Textual's partial styles would drop it.
        """
        if not role:
            return Style()
        looks: dict[str, Style] = self.__dict__.setdefault("_looks", {})
        if role not in looks:
            looks[role] = self._look_of(role)
        return looks[role]

    def _look_of(self, role: str) -> Style:
        styles = self.get_component_styles(f"role--{role}")
        ground = self.background_colors[1]
        style = Style()
        if styles.has_rule("background"):
            ground += styles.background
            style += Style.from_color(bgcolor=ground.rich_color)
        if styles.has_rule("color"):
            style += Style.from_color((ground + styles.color).rich_color)
        return style + styles.text_style

    def notify_style_update(self) -> None:
        """Colours may have changed: another theme, another background."""
        super().notify_style_update()
        self.__dict__.pop("_looks", None)

    def text_of(self, row: Line) -> Text:
        """One line as Rich text (never parsed as markup)."""
        text = Text(no_wrap=True, end="")
        for span in row.spans:
            text.append(harmless(span.text, ascii_only=self.ascii_only), self.style_of(span.role))
        return text

    def strip_of(self, row: Line) -> Strip:
        """One line as cells, without padding."""
        ascii_only = self.ascii_only
        return Strip(
            [
                Segment(
                    harmless(span.text, ascii_only=ascii_only),
                    self.style_of(span.fill) + self.style_of(span.role)
                    if span.fill
                    else self.style_of(span.role),
                )
                for span in row.spans
            ],
        )


class PaintedScroll(ScrollView, Painted):
    """A painted widget that scrolls by itself.

    `ScrollView` comes first because Textual takes default styles (here: that it may scroll at
    all) from the first base only; the component classes must be named again for the same reason.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = Painted.COMPONENT_CLASSES

    def resize_content(self, size: Size) -> None:
        """Set how much there is to scroll through."""
        if self.virtual_size != size:
            self.virtual_size = size
            self._scroll_update(size)  # else the scroll bar would wait for the next resize
