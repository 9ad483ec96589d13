"""The parts of a chat: a column per model with its growing answer, and the weights of a mixture."""

import html
from collections.abc import Callable, Mapping

import ipywidgets as ipw

from ..kit import boxes
from ..kit.fold import Fold


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
        head = f"<h3>{heading or boxes.breakable(title)}</h3>{html.escape(note)}"
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
        self.foot.value = boxes.lines([" · ".join(filter(None, [count, end]))])

    def stop(self) -> None:
        """Mark an unfinished answer as stopped."""
        self.write(self.text, self.tokens, self.end or "stopped")

    @property
    def spoken(self) -> str:
        """The answer for a screen reader; "" without one."""
        return f"{self.title}: {self.text}." if self.text else ""


HELP = (
    "Each layer gives y + Σ w (its output with the adapter − y), where y is the output of the "
    "base. This is exact for every method. 1 and 0 are the adapter alone, all 0 the base."
)
WEIGHTS = {"min": -1, "max": 2, "step": 0.05, "continuous_update": False}


class Mixer(Fold):
    """A fold with the weights of adapters.

    Args:
        changed: Called after a weight has changed, or the fold was opened or closed.

    Example:
        >>> mixer = Mixer(lambda: None)
        >>> mixer.show({"a": "lora, seed 0", "b": "qtha, seed 0"})
        >>> mixer.weights is None
        True
        >>> mixer.unfolded = True
        >>> mixer.weights
        {'a': 0.5, 'b': 0.5}
    """

    def __init__(self, changed: Callable[[], None]):
        self.sliders: dict[str, ipw.FloatSlider] = {}
        self.changed, self.rows = changed, boxes.column()
        super().__init__("Mix adapters by weights", boxes.text(HELP), self.rows)
        self.observe(lambda _: self.changed(), "unfolded")

    @property
    def weights(self) -> dict[str, float] | None:
        """The weights by run id; None if the fold is closed or empty."""
        values = {run: slider.value for run, slider in self.sliders.items()}
        return values if values and self.unfolded else None

    def show(self, titles: Mapping[str, str]) -> None:
        """Show equal initial weights for these runs, by id and title."""
        share = round(1 / max(len(titles), 1), 2)
        self.sliders = {
            run: boxes.styled(ipw.FloatSlider, share, description=title, **WEIGHTS)
            for run, title in titles.items()
        }
        for slider in self.sliders.values():
            slider.observe(lambda _: self.changed(), "value")
        boxes.put(self.rows, self.sliders.values())
        boxes.show(self, bool(titles))
