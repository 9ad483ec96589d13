"""How points on the axes are chosen, how many, and what that will take; opens as soon as a field holds several values.

Knows no setting by name but that the axes of methods and training stand in their own fields.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import ipywidgets as ipw

from qtha_lab.core.metrics import recorded
from qtha_lab.core.settings import Setting, settings_of
from qtha_lab.experiment import Sweep

from ..kit import styles as style
from ..kit.closing import put
from ..kit.fold import Fold
from .form import Form

SETTINGS = ("search", "trials", "pruner", "objective", "search_seed", "axes")
INVITATION = (
    "Type several values into any number field of a method or of the training, such as 0.001, 0.003, 0.01 or "
    "0.0001…0.1 log 5: every method is then tried at each of them, as often as every other."
)


def sweep_settings() -> dict[str, Setting]:
    """The settings of a sweep beside its methods; the axes are those that no number field holds."""
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
    """Says "sweep" once there is an axis.

    Args:
        values: Entries to start with.
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
        self.offers = style.row()
        self.form = Form(sweep_settings(), values)
        self.forecast = style.text("", "qtha-banner")
        invitation = style.text(style.lines([INVITATION]), "qtha-text")
        super().__init__("Sweep", invitation, self.offers, self.form.panel, self.forecast)
        self.add_class("qtha-group")
        self.form.observe(changed)
        self.axes: dict[str, Any] = {}
        self.show(())

    @property
    def grid(self) -> bool:
        """Whether every point of a grid is tried."""
        return self.form.values["search"] == "grid"

    @property
    def swept(self) -> bool:
        """Whether there is any axis."""
        return bool(self.axes)

    def name(self, axes: Mapping[str, Any]) -> None:
        """Take the axes of the other forms, and say them in the title; the first one opens this."""
        was_swept = self.swept
        others = {} if self.form["axes"].error else self.form.values["axes"]
        self.axes = {**axes, **others}
        self.title = f"Sweep of {', '.join(self.axes)}" if self.axes else "Sweep"
        if self.swept and not was_swept:
            self.unfolded = True

    def offer(self, partly: Mapping[str, Any]) -> None:
        """A button for each setting that some methods sweep and others could."""
        put(self.offers, [self._offer(name, values) for name, values in partly.items()])

    def _offer(self, name: str, values: Any) -> ipw.Button:
        label = f"Sweep {name} in every method alike"
        button = ipw.Button(description=label, icon="arrows-h").add_class("qtha-small")
        button.on_click(lambda _: self.spread(name, values))
        return button

    def wait(self) -> None:
        """What was said holds no longer: of no sweep nothing is said, of another it is being worked out."""
        if self.swept:
            self.forecast.add_class("qtha-stale")
        else:
            self.show(())

    def show(self, sentences: Iterable[str]) -> None:
        """Say what the sweep will take."""
        sentences = list(sentences)
        self.forecast.remove_class("qtha-stale")
        self.forecast.value = style.lines(sentences)
        self.forecast.layout.display = "" if sentences else "none"
