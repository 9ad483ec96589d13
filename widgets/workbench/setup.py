"""The form of a comparison or sweep: model, task, seeds, methods and training.

Every control follows from a declaration. `setup.description()` is the same object that a script or
a YAML file would describe.
"""

import logging
from collections.abc import Callable
from typing import Any

import ipywidgets as ipw

from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import settings_of
from qtha_lab.experiment import Comparison, Sweep, Training
from qtha_lab.experiment.method_list import head_calls
from qtha_lab.experiment.serialisation import SEVERAL
from qtha_lab.models import model_names
from qtha_lab.models.quantisation.formats import quantizations
from qtha_lab.tasks import task_names, task_settings

from ..kit import styles
from ..kit.fold import Fold
from ..kit.guard import OnError, guarded
from .axes import (
    axes_elsewhere,
    axes_in,
    axes_of_choice,
    axes_of_training,
    faults_of_axes,
    partly_swept,
)
from .banner import Fault
from .finder import Finder
from .form import Form
from .methods import MethodCards
from .sweep_form import SweepForm
from .tuning_form import TuningForm

log = logging.getLogger(__name__)

ELSEWHERE = ("methods", "training", "task_options", "tuning")  # settings with forms of their own


class Setup:
    """The form of a comparison or sweep; show `setup.panel`.

    Args:
        start: The initial comparison or sweep.
        changed: Called after every entry.
        on_error: Receives exceptions of callbacks.
        go: Called with the control that was searched for.
    """

    def __init__(
        self,
        start: Comparison | Sweep,
        changed: Callable[[], None],
        on_error: OnError,
        go: Callable[[ipw.DOMWidget], None] = lambda control: None,
    ):
        self.on_change = changed
        self.changed = guarded(self._renew, on_error)
        settings = settings_of(Comparison)
        for name in ELSEWHERE:
            del settings[name]
        values = start.model_dump()
        sweep = start if isinstance(start, Sweep) else None
        known = {
            "model": model_names(), "task": task_names(), "quantization": quantizations(),
            "head": ["", *head_calls()],
        }  # fmt: skip
        self.what = Form(settings, values, known)
        swept = axes_of_training(sweep) if sweep else {}
        self.training = Form(settings_of(Training), values["training"] | swept, sweepable=True)
        model = self.what["model"]
        self.methods = MethodCards(
            start.methods,
            self.changed,
            lambda: model.value,
            on_error,
            lambda choice: axes_of_choice(sweep, choice) if sweep else {},
        )
        self.tuning = TuningForm(values.get("tuning") or {}, self.changed)
        searching = values | {"axes": axes_elsewhere(sweep)} if sweep else {}
        self.sweep = SweepForm(searching, self.changed, guarded(self._spread, on_error))
        self.task_box = styles.column()
        self._draw_task_options(start.task_options)
        draw = guarded(lambda _: self._draw_task_options({}), on_error)
        self.what["task"].control.observe(draw, "value")
        self.what.observe(self.changed)
        self.training.observe(self.changed)
        self.finder = Finder(self._places, go)
        self._name_axes()
        what = styles.heading("What to fine-tune")
        self.panel = styles.column(
            self.finder,
            self.methods.panel,
            styles.column(what, self.what.panel, self.task_box, css="qtha-group"),
            Fold("Training", self.training.panel, unfolded=True).add_class("qtha-group"),
            self.tuning,
            self.sweep,
        )

    def comparison(self) -> Comparison:
        """Return the comparison as entered, with swept settings at their defaults.

        Raises:
            Refusal: One sentence on the first entry that is outside its limits or contradicts
                another.
        """
        return Comparison(**self._fields())

    def description(self) -> Comparison | Sweep:
        """Return the comparison as entered, or a sweep if any setting holds several values.

        Raises:
            Refusal: As `comparison`.
        """
        fields = self._fields()
        if not self.sweep.swept:
            return Comparison(**fields)
        of_comparisons = [name for name in (*SEVERAL, "tuning", "rounding") if fields[name]]
        of_comparisons += ["matching"] if fields["matching"] != "as_given" else []
        if of_comparisons:
            raise Refusal(
                f"{of_comparisons[0]} is of a comparison: leave it as it was, or enter one value where several are swept"
            )
        shared = {name: fields[name] for name in Sweep.model_fields.keys() & fields.keys()}
        return Sweep(**shared, **{**self.sweep.form.changed, "axes": self.sweep.axes})

    def _fields(self) -> dict[str, Any]:
        for fault in self.faults():
            raise Refusal(fault.sentence)
        return {
            **self._what(),
            "task_options": {} if self.what.values["tasks"] else self.task_options.changed,
            "methods": self.methods.choices(),
            "training": Training(**self.training.changed),
            "tuning": self.tuning.value,
        }

    def _what(self) -> dict[str, Any]:
        """Return model, task and seeds; several models or tasks replace the single one."""
        values = self.what.values
        picked = {single for several, single in SEVERAL.items() if values[several]}
        return {name: value for name, value in values.items() if name not in picked}

    def faults(self) -> list[Fault]:
        """Return all errors of single entries, in the order of the page."""
        cards = self.methods.cards
        alone = self._faults_of_what() + self.task_options.faults() + self.methods.faults()
        of_axes = faults_of_axes(cards, self.training, self.sweep.grid)
        of_sweep = self.sweep.form.faults() if self.sweep.swept else []
        of_tuning = self.tuning.form.faults() if self.tuning.tunes else []
        return alone + self.training.faults() + of_tuning + of_axes + of_sweep

    def _faults_of_what(self) -> list[Fault]:
        """Return faults of single entries, else of the description, such as a repeated seed."""
        try:
            Comparison(**self._what())
        except Refusal as refusal:
            return self.what.faults() or [self.what.fault(str(refusal))]
        return self.what.faults()

    def fault(self, sentence: str) -> Fault:
        """Convert a refusal to a fault, with the control of the setting named first."""
        forms = (self.what, self.task_options, self.training, self.tuning.form, self.sweep.form)
        faults = [form.fault(sentence) for form in forms]
        return next((fault for fault in faults if fault.control), faults[0])

    def _renew(self) -> None:
        self._name_axes()
        self.on_change()

    def _name_axes(self) -> None:
        """Pass the settings with several values to the form of the sweep."""
        cards = self.methods.cards
        self.sweep.name(axes_in(cards, self.training))
        self.sweep.offer(partly_swept(cards))
        self.finder.offer()

    def _places(self) -> dict[str, ipw.DOMWidget]:
        """Return the controls of every method and setting, by search text."""
        places: dict[str, ipw.DOMWidget] = {}
        for card in self.methods.cards:
            places[card.title] = card.button
            places |= {f"{n} of {card.title}": f.control for n, f in card.form.fields.items()}
        forms = {
            "": self.what,
            " of the training": self.training,
            " of the tuning": self.tuning.form,
        }
        forms |= {" of the sweep": self.sweep.form}
        for words, form in forms.items():
            places |= {f"{name}{words}": field.control for name, field in form.fields.items()}
        return places

    def _spread(self, name: str, values: Any) -> None:
        """Enter the same values of a setting in every method that has it."""
        for card in self.methods.cards:
            if name in card.form.fields:
                card.form[name].value = values

    def _draw_task_options(self, values: dict) -> None:
        """Show the options of the selected task; an unknown task shows none."""
        try:
            settings = task_settings(self.what["task"].value)
        except Refusal as reason:
            log.debug("no options are shown: %s", reason)
            settings = {}
        self.task_options = Form(settings, values)
        self.task_options.observe(self.changed)
        self.task_box.children = [self.task_options.panel] if settings else []
