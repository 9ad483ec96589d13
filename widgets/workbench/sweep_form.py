"""The forms of a sweep and of a tuning, and the axes that a form of methods and training holds.

The form of a sweep opens as soon as a field holds several values. A setting that every method
sweeps alike is one axis, `learning_rate`. Otherwise each method has its own axis, `qtha.r`.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import ipywidgets as ipw

from qtha_lab.core.errors import Refusal
from qtha_lab.core.metrics import recorded
from qtha_lab.core.settings import Setting, settings_of
from qtha_lab.experiment import MethodChoice, Sweep, Training, Tuning
from qtha_lab.experiment.axes import Axis
from qtha_lab.experiment.sweep import place_of

from ..kit import boxes
from ..kit.fold import Fold
from ..kit.setting_control import words_of
from .banner import Fault
from .field import is_number
from .form import Form
from .method_card import MethodCard, card_settings


def axes_in(cards: Iterable[MethodCard], training: Form) -> dict[str, Any]:
    """Return every entered axis, methods first."""
    cards = list(cards)
    axes: dict[str, Any] = {}
    for name in dict.fromkeys(name for card in cards for name in card.form.axes):
        having = [card for card in cards if name in card.form.fields]
        values = [card.form.axes.get(name) for card in having]
        if name not in settings_of(Training) and all(value == values[0] for value in values):
            axes[name] = values[0]
        else:
            swept = [card for card in having if name in card.form.axes]
            axes |= {f"{card.name}.{name}": card.form.axes[name] for card in swept}
    return axes | {f"training.{name}": values for name, values in training.axes.items()}


def axes_of_choice(sweep: Sweep, choice: MethodChoice) -> dict[str, Any]:
    """Return the axes in number fields of a method's card, by setting name."""
    return _in_fields(sweep, choice, ("choice", "option"), card_settings(choice.name))


def axes_of_training(sweep: Sweep) -> dict[str, Any]:
    """Return the axes in number fields of the training."""
    return _in_fields(sweep, sweep.methods[0], ("training",), settings_of(Training))


def axes_elsewhere(sweep: Sweep) -> dict[str, Any]:
    """Return the axes that no number field holds, such as the model or an ansatz."""

    def is_elsewhere(axis: str) -> bool:
        alone = sweep.replace(axes={axis: sweep.axes[axis]})
        in_cards = any(axes_of_choice(alone, choice) for choice in sweep.methods)
        return not (in_cards or axes_of_training(alone))

    return {axis: values for axis, values in sweep.axes.items() if is_elsewhere(axis)}


def _in_fields(
    sweep: Sweep, choice: MethodChoice, parts: tuple[str, ...], settings: dict[str, Setting]
) -> dict[str, Any]:
    places = {axis: place_of(axis, choice) for axis in sweep.axes}
    return {
        place.name: sweep.axes[axis]
        for axis, place in places.items()
        if place and place.part in parts and is_number(settings[place.name])
    }


def partly_swept(cards: Iterable[MethodCard]) -> dict[str, Any]:
    """Return the settings that only some of the methods having them sweep, with values."""
    forms = [card.form for card in cards]
    swept = {name: values for form in forms for name, values in form.axes.items()}
    return {
        name: values
        for name, values in swept.items()
        if any(name in form.fields and form.axes.get(name) != values for form in forms)
    }


def faults_of_axes(cards: Iterable[MethodCard], training: Form, grid: bool) -> list[Fault]:
    """Return the faults of axes: inconsistent sweeps of a method, uncut ranges in grids.

    Args:
        cards: The cards of the methods.
        training: The form of the training.
        grid: True if the search tries every grid point.
    """
    cards = list(cards)
    forms = {card.name: [c.form for c in cards if c.name == card.name] for card in cards}
    faults = [
        Fault(
            f"{words_of(name)} is swept for every {method} or for none: enter "
            "the same values in each",
            form[name],
        )
        for method, alike in forms.items()
        for form in alike
        for name in form.axes
        if any(other.axes.get(name) != form.axes[name] for other in alike)
    ]
    swept = [form for alike in forms.values() for form in alike] + [training]
    return faults + [fault for form in swept if grid for fault in _uncut(form)]


def _uncut(form: Form) -> Iterable[Fault]:
    for name, values in form.axes.items():
        try:
            Axis.of(values).grid()
        except Refusal as refused:
            yield Fault(f"{words_of(name)}: {refused}", form[name])


TUNING_INVITATION = (
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
        content = lambda: boxes.text(boxes.lines([TUNING_INVITATION])), lambda: self.form.panel
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
        invitation, form = lambda: boxes.text(boxes.lines([INVITATION])), lambda: self.form.panel
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
        self.forecast.value = boxes.lines(sentences)
        boxes.show(self.forecast, bool(sentences))
