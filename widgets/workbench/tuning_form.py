"""How every method is tuned before it is compared: axes, trials and seeds; open as soon as there is an axis."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from qtha_lab.core.settings import Setting, settings_of
from qtha_lab.experiment import Tuning

from ..kit import styles as style
from ..kit.fold import Fold
from .form import Form

INVITATION = (
    "Name settings with the values to try, such as learning_rate=[0.003,0.01,0.03]: every method is then tried at as many "
    "points with seeds of their own, and its best one is confirmed on the seeds above. Without an axis nothing is tuned, "
    "and the table says so."
)


def tuning_settings() -> dict[str, Setting]:
    """The settings of a tuning, of which an empty form has no axis."""
    declared = settings_of(Tuning)
    return declared | {"axes": dataclasses.replace(declared["axes"], default={})}


class TuningForm(Fold):
    """Show it; read `value`.

    Args:
        values: Entries to start with.
        changed: Called after every entry.
    """

    def __init__(self, values: Mapping[str, Any], changed: Callable[[], None]):
        self.form = Form(tuning_settings(), values)
        invitation = style.text(style.lines([INVITATION]), "qtha-text")
        super().__init__("Tuning", invitation, self.form.panel, unfolded=bool(values))
        self.add_class("qtha-group")
        self.form.observe(changed)

    @property
    def tunes(self) -> bool:
        """Whether there is any axis."""
        return bool(self.form.values["axes"])

    @property
    def value(self) -> dict[str, Any] | None:
        """The tuning as a comparison has it; None without an axis."""
        return self.form.changed if self.tunes else None
