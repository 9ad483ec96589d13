"""The axes of a sweep as entered in a form, by their sweep names.

A setting that every method sweeps alike is one axis, `learning_rate`. Otherwise each method has its
own axis, `qtha.r`.
"""

from collections.abc import Iterable
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import Setting, settings_of
from qtha_lab.experiment import MethodChoice, Sweep, Training
from qtha_lab.experiment.axes import Axis
from qtha_lab.experiment.sweep import place_of

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
