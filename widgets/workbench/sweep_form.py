"""The form of a sweep: search, number of trials and forecast.

Opens as soon as a field holds several values. The axes of methods and training stand in their own
fields; this module names no other setting.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import ipywidgets as ipw

from qtha_lab.core.metrics import recorded
from qtha_lab.core.settings import Setting, settings_of
from qtha_lab.experiment import Sweep

from ..kit import boxes, styles
from ..kit.fold import Fold
from .form import Form

SETTINGS = ("search", "trials", "pruner", "objective", "search_seed", "axes")
INVITATION = (
    "Enter several values into a number field of a method or of the training, such as 0.001, "
    "0.003, 0.01 or 0.0001…0.1 log 5. Every method then gets the same number of trials."
)


def sweep_settings() -> dict[str, Setting]:
    """Return a sweep's settings beside its methods, with axes for non-numeric settings only."""
    declared = settings_of(Sweep)
    declared["axes"] = dataclasses.replace(
        declared["axes"],
        default={},
        help="Settings to vary that are no numbers, such as ansatz=[qtha,product].",
    )
    measures = (*recorded("eval"), *recorded("generation"))
    declared["objective"] = dataclasses.replace(declared["objective"], choices=measures)
    return {name: declared[name] for name in SETTINGS}


class SweepForm(Fold):
    """A form whose title lists the axes of the sweep.

    Args:
        values: Initial values.
        changed: Called after every entry.
        spread: Called with a setting and values that every method is to sweep.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        changed: Callable[[], None],
        spread: Callable[[str, Any], None],
    ):
        self.spread = spread
        self.offers = boxes.row()
        self.form = Form(sweep_settings(), values)
        self.forecast = boxes.text("", "qtha-banner")
        invitation, form = lambda: boxes.text(styles.lines([INVITATION])), lambda: self.form.panel
        super().__init__("Sweep", invitation, self.offers, form, self.forecast)
        self.form.observe(changed)
        self.axes: dict[str, Any] = {}
        self.show(())

    @property
    def grid(self) -> bool:
        """True if the search tries every grid point."""
        return self.form.values["search"] == "grid"

    @property
    def swept(self) -> bool:
        """True if the sweep has an axis."""
        return bool(self.axes)

    def name(self, axes: Mapping[str, Any]) -> None:
        """Set the axes of the other forms and the title; the first axis unfolds."""
        was_swept = self.swept
        others = {} if self.form["axes"].error else self.form.values["axes"]
        self.axes = {**axes, **others}
        self.title = f"Sweep of {', '.join(self.axes)}" if self.axes else "Sweep"
        if self.swept and not was_swept:
            self.unfolded = True

    def offer(self, partly: Mapping[str, Any]) -> None:
        """Show a button for each setting that only some methods sweep."""
        boxes.put(self.offers, [self._offer(name, values) for name, values in partly.items()])

    def _offer(self, name: str, values: Any) -> ipw.Button:
        label = f"Sweep {name} in every method alike"
        button = boxes.button(label, icon="arrows-h")
        button.on_click(lambda _: self.spread(name, values))
        return button

    def wait(self) -> None:
        """Mark the forecast as out of date; without a sweep, clear the forecast."""
        if self.swept:
            self.forecast.add_class("qtha-stale")
        else:
            self.show(())

    def show(self, sentences: Iterable[str]) -> None:
        """Show sentences on the size of the sweep."""
        sentences = list(sentences)
        self.forecast.remove_class("qtha-stale")
        self.forecast.value = styles.lines(sentences)
        boxes.show(self.forecast, bool(sentences))
