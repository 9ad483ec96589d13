"""The card of one method: its label as title, and controls of its declared options.

All checks are those of the method.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from qtha_lab.cli.output import duration
from qtha_lab.core import call_syntax
from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import Setting, settings_of
from qtha_lab.experiment import MethodChoice
from qtha_lab.experiment.method_list import ALPHAS, check_options, engine_names, method_entry

from ..kit import boxes
from ..kit.fold import Fold
from ..runs.variants import MethodVariant
from .banner import Fault
from .form import Form


def choice_settings(name: str) -> dict[str, Setting]:
    """Return the settings of a method choice except its name and options.

    The help of the learning rate names the default of the method.
    """
    settings = settings_of(MethodChoice)
    del settings["name"], settings["options"]
    rate, default = settings["learning_rate"], method_entry(name).default_learning_rate
    help = f"{rate.help.rstrip('.')}, {default:g}."
    settings["learning_rate"] = dataclasses.replace(rate, help=help)
    return {n: dataclasses.replace(setting, common=True) for n, setting in settings.items()}


def card_settings(name: str) -> dict[str, Setting]:
    """Return all settings on the card of a method.

    An alpha may stay empty, so that the rule of the comparison applies.
    """
    options = dict(method_entry(name).settings)
    for alpha in ALPHAS:
        if alpha in options and options[alpha].default is not None:
            options[alpha] = left_to_the_rule(options[alpha])
    return choice_settings(name) | options


def left_to_the_rule(alpha: Setting) -> Setting:
    """Make an alpha optional, so that an explicit default differs from no entry."""
    help = f"{alpha.help.rstrip('.')}; empty: 2 r, or {alpha.default} where scaling is as_given."
    return dataclasses.replace(alpha, default=None, optional=True, help=help)


class MethodCard(Fold):
    """A card of one method: learning rate and layers first, then options, rare ones folded.

    Args:
        choice: The initial method choice.
        on_copy: Called with the card whose "Duplicate" was pressed.
        on_remove: Called with the card whose "Remove" was pressed.
        axes: Its settings with several values.
    """

    def __init__(
        self,
        choice: MethodChoice,
        on_copy: Callable,
        on_remove: Callable,
        axes: Mapping[str, Any] | None = None,
    ):
        self.name = choice.name
        method = method_entry(choice.name)
        entries = choice.model_dump() | choice.options | dict(axes or {})
        known = {"engine": engine_names()}  # a PennyLane device may be typed too
        self.form = Form(card_settings(choice.name), entries, known, sweepable=True)
        self.copy = boxes.button("Duplicate", icon="copy", css="qtha-icon")
        self.remove = boxes.button("Remove", icon="times", css="qtha-icon")
        self.copy.on_click(lambda _: on_copy(self))
        self.remove.on_click(lambda _: on_remove(self))
        summary = boxes.lines([method.summary])
        content = lambda: boxes.text(summary), lambda: self.form.panel
        super().__init__(self.name, *content, beside=(self.copy, self.remove))
        self.add_class("qtha-card")

    def focus(self) -> None:
        """Move the keyboard focus of the page to the button of the card."""
        self.switch.focus()

    def reveal(self, place: Any) -> bool:
        """Unfold a field of this card; return False for another place."""
        self.unfolded = self.unfolded or self.form.reveal(place)
        return place is self or self.form.reveal(place)

    @property
    def label(self) -> str:
        """The method with all entries, valid or not."""
        return (
            call_syntax.call(self.name, self.form.changed)
            if self.faults()
            else (self.choice().label)
        )

    def name_as(self, variant: MethodVariant, number: int = 1) -> None:
        """Show symbol and name of a variant, its swept settings, and all options as tooltip.

        Args:
            variant: The variant of the label.
            number: Place among cards of the same label, from 1.
        """
        swept = f" · sweeps {', '.join(self.form.axes)}" if self.form.axes else ""
        name = variant.name + swept
        self.title = name if number == 1 else f"{name} ({number})"
        self.dot, self.switch.tooltip = variant.dot, variant.label
        self.copy.tooltip, self.remove.tooltip = f"Duplicate {self.title}", f"Remove {self.title}"

    def cost(self, sizes: Any, preview: Any = None) -> str:
        """Return r, parameters and any previewed duration of a method in one line."""
        r = self.form["r"].value if "r" in self.form.fields else None
        parts = [f"r {r}"] if r is not None and "r=" not in self.title else []
        parts.append(f"{sizes.trainable_parameters:,} par.")
        parts.append("…" if preview is None else duration(preview.seconds_per_step * sizes.steps))
        return " · ".join(parts)

    def choice(self) -> MethodChoice:
        """Return the method as entered, with swept settings at their defaults.

        Only differences from the defaults are written out.

        Raises:
            Refusal: If an entry is outside its limits, or entries contradict each other.
        """
        for fault in self.form.faults():
            raise Refusal(fault.sentence)
        changed = self.form.changed
        choice = {name: changed.pop(name) for name in choice_settings(self.name) if name in changed}
        check_options(self.name, changed)
        return MethodChoice(name=self.name, **choice, options=changed)

    def faults(self, place: str = "") -> list[Fault]:
        """Return the errors with the fields to change."""
        try:
            self.choice()
        except Refusal as refusal:
            return self.form.faults(place) or [self.located(str(refusal), place)]
        return []

    def located(self, sentence: str, place: str = "") -> Fault:
        """Convert a refusal to a fault with the field of its setting or size, else the card."""
        fault = self.form.fault(sentence, place)
        sizes = ("n_qubits", "r") if "qubits" in sentence else ()
        of_size = (self.form[name] for name in sizes if name in self.form.fields)
        return fault._replace(control=next(of_size, fault.control or self))
