"""One who answers: a title, the answer as it is written, and how it ended. Asks nobody."""

import html

import ipywidgets as ipw

from ..kit import styles as styles


class AnswerColumn(ipw.VBox):
    """A column of `Chat`.

    Args:
        title: Who answers.
        note: What a person should know of who answers.
        color: Of the method in figures; "" where there is none.

    Example:
        >>> column = AnswerColumn("base", "")
        >>> column.write("Fine", tokens=1, end="end of turn")
        >>> column.spoken
        'base: Fine.'
    """

    def __init__(self, title: str, note: str = "", color: str = ""):
        self.title, self.text, self.tokens, self.end = title, "", 0, ""
        dot = f'<span class="qtha-dot" style="background:{color}"></span>' if color else ""
        head = f"<h4>{dot}{styles.breakable(title)}</h4>{html.escape(note)}"
        self.answer, self.foot = styles.text("", "qtha-answer"), styles.text("", "qtha-text")
        super().__init__([styles.text(head, "qtha-text"), self.answer, self.foot])

    def write(self, text: str, tokens: int = 0, end: str = "") -> None:
        """Show an answer so far.

        Args:
            text: All of it.
            tokens: How many it has.
            end: How it ended; "" while it is written.
        """
        self.text, self.tokens, self.end = text.strip(), tokens, end
        self.answer.value = html.escape(self.text)
        count = f"{tokens} token{'' if tokens == 1 else 's'}" if tokens else ""
        self.foot.value = styles.lines([" · ".join(filter(None, [count, end]))])

    def stop(self) -> None:
        """Say that nothing more comes, where the answer had not ended."""
        self.write(self.text, self.tokens, self.end or "stopped")

    @property
    def spoken(self) -> str:
        """The answer for a screen reader; "" where there is none."""
        return f"{self.title}: {self.text}." if self.text else ""
