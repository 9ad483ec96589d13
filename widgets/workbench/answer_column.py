"""A column with a model's title, its growing answer, and the reason of its end."""

import html

import ipywidgets as ipw

from ..kit import boxes, styles


class AnswerColumn(ipw.VBox):
    """A column of `Chat`.

    Args:
        title: Name of the model.
        note: Remark about the model.
        heading: Title as HTML with the symbol of the method in figures; "" for none.

    Example:
        >>> column = AnswerColumn("base", "")
        >>> column.write("Fine", tokens=1, end="end of turn")
        >>> column.spoken
        'base: Fine.'
    """

    def __init__(self, title: str, note: str = "", heading: str = ""):
        self.title, self.text, self.tokens, self.end = title, "", 0, ""
        head = f"<h3>{heading or styles.breakable(title)}</h3>{html.escape(note)}"
        self.answer, self.foot = boxes.text("", "qtha-answer"), boxes.text()
        super().__init__([boxes.text(head), self.answer, self.foot], layout=boxes.layout())

    def write(self, text: str, tokens: int = 0, end: str = "") -> None:
        """Show the present answer.

        Args:
            text: The whole text so far.
            tokens: Number of tokens.
            end: Reason of the end; "" during generation.
        """
        self.text, self.tokens, self.end = text.strip(), tokens, end
        self.answer.value = html.escape(self.text)
        count = f"{tokens} token{'' if tokens == 1 else 's'}" if tokens else ""
        self.foot.value = styles.lines([" · ".join(filter(None, [count, end]))])

    def stop(self) -> None:
        """Mark an unfinished answer as stopped."""
        self.write(self.text, self.tokens, self.end or "stopped")

    @property
    def spoken(self) -> str:
        """The answer for a screen reader; "" without one."""
        return f"{self.title}: {self.text}." if self.text else ""
