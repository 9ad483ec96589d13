"""One method of a comparison: its label as the title, its options drawn from what it declares.

Checks nothing that the method does not.
"""

import dataclasses
from collections.abc import Callable

import ipywidgets as ipw

from qtha_lab import calls
from qtha_lab.adapters import get_method
from qtha_lab.errors import Refusal
from qtha_lab.experiment import MethodChoice
from qtha_lab.settings import Setting, settings_of
from qtha_lab.simulators import engine_names

from . import look
from .banner import Fault
from .fold import Fold
from .form import Form


def choice_settings(name: str) -> dict[str, Setting]:
    """What a choice of this method has besides its name and options, with the learning rate of the method named."""
    settings = settings_of(MethodChoice)
    del settings["name"], settings["options"]
    rate, default = settings["learning_rate"], get_method(name).default_learning_rate
    help = f"{rate.help.rstrip('.')}, {default:g}."
    settings["learning_rate"] = dataclasses.replace(rate, help=help)
    return {n: dataclasses.replace(setting, common=True) for n, setting in settings.items()}


class MethodCard(Fold):
    """One method under its label: learning rate and layers first, then its options, the rarer folded.

    Args:
        choice: The method to start with.
        on_copy: Called with the card whose "Duplicate" was pressed.
        on_remove: Called with the card whose "Remove" was pressed.
    """

    def __init__(self, choice: MethodChoice, on_copy: Callable, on_remove: Callable):
        self.name = choice.name
        method = get_method(choice.name)
        settings = choice_settings(choice.name) | method.settings()
        entries = choice.model_dump() | choice.options
        known = {"engine": engine_names()}  # any PennyLane device can be typed too
        self.form = Form(settings, entries, known)
        self.copy = ipw.Button(description="Duplicate", icon="copy").add_class("qtha-small")
        self.remove = ipw.Button(description="Remove", icon="times").add_class("qtha-small")
        self.copy.on_click(lambda _: on_copy(self))
        self.remove.on_click(lambda _: on_remove(self))
        summary = look.text(look.lines([method.summary]), "qtha-text")
        super().__init__(self.name, summary, self.form.panel, beside=(self.copy, self.remove))
        self.add_class("qtha-group")

    @property
    def label(self) -> str:
        """The method with all that was entered, right or wrong."""
        changed = self.form.changed
        return calls.call(self.name, changed) if self.faults() else self.choice().label

    def choice(self) -> MethodChoice:
        """The method as entered; only what differs from the defaults is written out.

        Raises:
            Refusal: If an entry is out of its limits, or the entries contradict each other.
        """
        for fault in self.form.faults():
            raise Refusal(fault.sentence)
        changed = self.form.changed
        choice = {name: changed.pop(name) for name in choice_settings(self.name) if name in changed}
        get_method(self.name).check(changed)
        return MethodChoice(name=self.name, **choice, options=changed)

    def faults(self, place: str = "") -> list[Fault]:
        """What is wrong, with the control to change."""
        try:
            self.choice()
        except Refusal as refusal:
            return self.form.faults(place) or [self.form.fault(str(refusal), place)]
        return []
