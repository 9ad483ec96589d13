"""A slider over a list of values as a native browser control with keyboard support."""

from collections.abc import Callable, Sequence
from typing import Any

import anywidget
import traitlets

from .page_module import page_module


class Slider(anywidget.AnyWidget):
    """A slider with `options` and `value` like the SelectionSlider of ipywidgets.

    Args:
        description: Label before the slider.
        options: The values, in order.
        value: Initial value; default the first option.
        text: Formats a value.

    Example:
        >>> slider = Slider("bond 1", [1, 2, 4, 8], 8)
        >>> slider.index = 2
        >>> slider.value, slider.labels
        (4, ['1', '2', '4', '8'])
    """

    _esm = page_module("slider.js")
    description = traitlets.Unicode().tag(sync=True)
    labels = traitlets.List().tag(sync=True)
    index = traitlets.Int(0).tag(sync=True)
    options = traitlets.Tuple()
    value = traitlets.Any()

    def __init__(
        self,
        description: str,
        options: Sequence,
        value: Any = None,
        text: Callable[[Any], str] = str,
        width: str = "420px",
    ):
        self.text = text
        super().__init__(description=description, layout={"width": width, "max_width": "100%"})
        self.options = tuple(options)
        self.value = self.options[0] if value is None else value

    @traitlets.validate("value")
    def _nearest(self, proposal) -> Any:
        """Replace a number that is not an option by the nearest option."""
        value = proposal["value"]
        if value in self.options or not self.options:
            return value
        if not isinstance(value, int | float):
            raise traitlets.TraitError(f"{self.description} has no {value!r}")
        return min(self.options, key=lambda option: abs(option - value))

    @traitlets.observe("options")
    def _relabel(self, _change) -> None:
        with self.hold_sync():
            self.labels = [self.text(option) for option in self.options]
            self.index = min(self.index, max(0, len(self.options) - 1))
            if self.value in self.options:
                self.index = self.options.index(self.value)
            elif self.options:
                self.value = self.options[self.index]

    @traitlets.observe("value")
    def _point(self, change) -> None:
        if change["new"] in self.options:
            self.index = self.options.index(change["new"])

    @traitlets.observe("index")
    def _read(self, change) -> None:
        if self.options:
            self.value = self.options[min(max(change["new"], 0), len(self.options) - 1)]
