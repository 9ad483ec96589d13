"""The form of the tuning before a comparison: axes, trials and seeds."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from qtha_lab.core.settings import Setting, settings_of
from qtha_lab.experiment import Tuning

from ..kit import boxes, styles
from ..kit.fold import Fold
from .form import Form

INVITATION = (
    "Name settings with the values to try, such as learning_rate=[0.003,0.01,0.03]. Every method "
    "then gets as many trials with separate seeds, and its best one runs on the seeds above. "
    "Without an axis nothing is tuned, and the table says so."
)


def tuning_settings() -> dict[str, Setting]:
    """Return the settings of a tuning, with no axis by default."""
    declared = settings_of(Tuning)
    return declared | {"axes": dataclasses.replace(declared["axes"], default={})}


class TuningForm(Fold):
    """The form of a tuning, unfolded if it has initial values; read `value`.

    Args:
        values: Initial values.
        changed: Called after every entry.
    """

    def __init__(self, values: Mapping[str, Any], changed: Callable[[], None]):
        self.form = Form(tuning_settings(), values)
        content = lambda: boxes.text(styles.lines([INVITATION])), lambda: self.form.panel
        super().__init__("Tuning", *content, unfolded=bool(values))
        self.form.observe(changed)

    @property
    def tunes(self) -> bool:
        """True if there is any axis."""
        return bool(self.form.values["axes"])

    @property
    def value(self) -> dict[str, Any] | None:
        """The tuning in the format of a comparison; None without an axis."""
        return self.form.changed if self.tunes else None
