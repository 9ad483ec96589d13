"""The form of a comparison or sweep: presets, methods, model, task, seeds and training.

Every control follows from a declaration. `setup.description()` is the same object that a script or
a YAML file would describe.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import ipywidgets as ipw
import traitlets

from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import settings_of
from qtha_lab.experiment import Comparison, Sweep, Training
from qtha_lab.experiment.method_list import head_calls, quantizations
from qtha_lab.experiment.serialisation import SEVERAL
from qtha_lab.models import model_names
from qtha_lab.tasks import task_names, task_settings

from ..kit import boxes
from ..kit.boxes import OnError, guarded
from ..kit.fold import Fold
from ..kit.setting_control import SettingBox
from .banner import OF_MEMORY, Fault, memory_purpose
from .field import Field
from .finder import Finder, searchable_places
from .form import Form
from .history import PRESETS
from .methods import MethodCards
from .sweep_form import (
    SweepForm,
    TuningForm,
    axes_elsewhere,
    axes_in,
    axes_of_choice,
    axes_of_training,
    faults_of_axes,
    partly_swept,
)
from .systems import COMMANDS, Systems

log = logging.getLogger(__name__)

OTHER_FORMS = ("methods", "training", "task_options", "tuning", "matching")
PRESET = "choose a preset …"
MATCH = (
    "Choose the free sizes of each further method so that it trains at most as many parameters as "
    "the first one."
)
EQUAL, GIVEN = "equal_parameters", "as_given"


class Setup(ipw.VBox):
    """The form of a comparison or sweep.

    A setting is an attribute, too: `setup.steps.value = "1e3"`, `setup.r.observe(f, "value")`. It
    sets every method that has the setting.

    Args:
        start: The initial comparison or sweep.
        changed: Called after every entry.
        on_error: Receives exceptions of callbacks.
        go: Called with the field or card that was searched for.
        below: Parts below the form, such as the cost.
        systems: Forms of the commands among the presets.
        earlier: Earlier comparisons among the presets, by title.
    """

    def __init__(
        self,
        start: Comparison | Sweep,
        changed: Callable[[], None],
        on_error: OnError,
        go: Callable[[Any], None] = lambda place: None,
        below: tuple[Any, ...] = (),
        systems: Systems | None = None,
        earlier: Mapping[str, Callable[[], Comparison]] = MappingProxyType({}),
    ):
        self.on_change, self.on_error, self.below = changed, on_error, below
        self.systems = systems
        self.changed = guarded(self._renew, on_error)
        super().__init__(layout=boxes.layout())
        boxes.classed(self, "qtha-setup")
        self.forms: dict[str, Callable[[], Comparison | Sweep]] = {**PRESETS, **earlier}
        presets = [PRESET, *PRESETS, *COMMANDS, *earlier]
        self.preset = boxes.styled(
            ipw.Dropdown, options=presets, description="preset", css="qtha-setting"
        )
        self.preset.observe(guarded(self._take_preset, on_error), "value")
        self.finder = Finder(self._places, go)
        self.head = boxes.styled(ipw.HBox, [self.preset, self.finder], css="qtha-setup-head")
        if systems is not None:
            systems.form_fold.observe(guarded(self._leave_command, on_error), "unfolded")
        self.load(start)

    def load(self, start: Comparison | Sweep) -> None:
        """Fill the form with a comparison or sweep."""
        settings = settings_of(Comparison)
        matching = settings["matching"]
        for name in OTHER_FORMS:
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
            self.on_error,
            lambda choice: axes_of_choice(sweep, choice) if sweep else {},
        )
        self.rule = Form({"matching": matching}, values)
        is_equal = values.get("matching") == EQUAL
        self.match = boxes.styled(
            ipw.Checkbox, is_equal, description="match sizes", indent=False, tooltip=MATCH
        )
        self.match.observe(guarded(self._match, self.on_error), "value")
        self.rule["matching"].observe(guarded(self._show_match, self.on_error), "entry")
        self.tuning = TuningForm(values.get("tuning") or {}, self.changed)
        searching = values | {"axes": axes_elsewhere(sweep)} if sweep else {}
        self.sweep = SweepForm(searching, self.changed, guarded(self._spread, self.on_error))
        self.task_box = boxes.column()
        self.what_fold = Fold(
            "Model, task, seeds", lambda: self.what.panel, self._show_task_options
        )
        self.training_fold = Fold("Training", lambda: self.training.panel, lambda: self.rule.panel)
        self._offer_task_options(start.task_options)
        offer = guarded(lambda _: self._offer_task_options({}), self.on_error)
        self.what["task"].observe(offer, "entry")
        for form in (self.what, self.training, self.rule):
            form.observe(self.changed)
        self._name_axes()
        parts = [
            self.methods,
            SettingBox(self.match, MATCH),
            self.what_fold,
            self.training_fold,
            self.tuning,
            self.sweep,
            *self.below,
        ]
        self.of_comparison = [
            p for p in parts if not self.systems or p is not self.systems.form_fold
        ]
        boxes.put(self, [self.head, *parts])

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
        of_comparisons += ["matching"] if fields["matching"] != GIVEN else []
        if of_comparisons:
            name = "match sizes" if of_comparisons[0] == "matching" else of_comparisons[0]
            raise Refusal(
                f"{name} must be off in a sweep, got both. Switch it off, or enter one value where "
                "several are swept."
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
        values = self.what.values | self.rule.values
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
        """Convert a refusal to a fault, with the field of the setting named first."""
        task = self.what["task"]
        if sentence.startswith(f"{Path(str(task.value)).name}, "):
            return Fault(sentence, task)  # a line of the task's file
        if setting := OF_MEMORY.get(memory_purpose(sentence), ("",))[0]:
            return Fault(sentence, self._field_of(setting))
        forms = (self.what, self.task_options, self.training, self.tuning.form, self.sweep.form)
        faults = [Fault(sentence, self.methods.field_of(sentence))]
        faults += [form.fault(sentence) for form in forms]
        faults += [card.form.fault(sentence) for card in self.methods.cards]
        return next((fault for fault in faults if fault.control), faults[0])

    def _field_of(self, setting: str) -> Field | None:
        """Return the field of a setting of the training, the model or a method."""
        forms = (self.training, self.what, *(card.form for card in self.methods.cards))
        return next((form[setting] for form in forms if setting in form.fields), None)

    def show_faults(self, faults: list[Fault]) -> None:
        """Mark the fields of faults, and clear the marks of earlier ones."""
        for form in self._forms():
            form.show_faults(faults)

    def reveal(self, place: Any) -> None:
        """Open every fold around a field or a card."""
        homes = [(self.what_fold, self.what), (self.what_fold, self.task_options)]
        homes += [(self.training_fold, self.training), (self.training_fold, self.rule)]
        homes += [(fold, fold.form) for fold in (self.tuning, self.sweep, *self.methods.cards)]
        for fold, form in homes:
            if form.reveal(place) or fold is place:
                fold.unfolded = True

    def __getattr__(self, name: str) -> "Entries":
        if name.startswith("_") or "sweep" not in self.__dict__:
            raise AttributeError(name)
        fields = [form[name] for form in self._forms() if name in form.fields]
        if not fields:
            raise AttributeError(name)
        return Entries(fields)

    def _forms(self) -> list[Form]:
        cards = [card.form for card in self.methods.cards]
        first = [self.what, self.task_options, self.training, self.rule]
        return [*cards, *first, self.tuning.form, self.sweep.form]

    def _renew(self) -> None:
        self._name_axes()
        self.on_change()

    def _take_preset(self, change: Any) -> None:
        for part in self.of_comparison:  # the form of a command takes their place
            boxes.show(part, change["new"] not in COMMANDS)
        if change["new"] in self.forms:
            self.load(self.forms[change["new"]]())
            self.on_change()
        elif change["new"] in COMMANDS and self.systems is not None:
            self.systems.choose(change["new"])
        elif self.systems is not None:
            self.systems.form_fold.unfolded = False

    def _leave_command(self, change: Any) -> None:
        """Show the comparison again when the form of a chosen command is folded."""
        if not change["new"] and self.preset.value in COMMANDS:
            self.preset.value = PRESET

    def _match(self, change: Any) -> None:
        field = self.rule["matching"]
        if (field.value == EQUAL) != change["new"]:
            field.value = EQUAL if change["new"] else GIVEN

    def _show_match(self, change: Any) -> None:
        self.match.value = change["new"] == EQUAL

    def _name_axes(self) -> None:
        """Pass the settings with several values to the form of the sweep."""
        cards = self.methods.cards
        self.sweep.name(axes_in(cards, self.training))
        self.sweep.offer(partly_swept(cards))
        self.finder.offer()
        values, training = self.what.values, self.training.values
        seeds = values["seeds"] if isinstance(values["seeds"], list) else []
        count = f"{len(seeds)} seed{'' if len(seeds) == 1 else 's'}"
        what = [values["models"] or values["model"], values["tasks"] or values["task"], count]
        self.what_fold.note = " · ".join(map(_short, what))
        steps = f"{_short(training['steps'])} step{'' if training['steps'] == 1 else 's'}"
        self.training_fold.note = f"{steps} · batch {_short(training['batch_size'])}"

    def _places(self) -> dict[str, Any]:
        """Return the cards and the fields of all settings, by search text."""
        forms = {"": self.what, " of the training": self.training, " of the comparison": self.rule}
        forms |= {" of the tuning": self.tuning.form, " of the sweep": self.sweep.form}
        return searchable_places(self.methods.cards, forms)

    def _spread(self, name: str, values: Any) -> None:
        """Enter the same values of a setting in every method that has it."""
        for card in self.methods.cards:
            if name in card.form.fields:
                card.form[name].value = values

    def _offer_task_options(self, values: dict) -> None:
        """Set the options of the selected task; an unknown task has none."""
        try:
            settings = task_settings(self.what["task"].value)
        except Refusal as reason:
            log.debug("no options are shown: %s", reason)
            settings = {}
        self.task_options = Form(settings, values)
        self.task_options.observe(self.changed)
        if self.task_box.children or self.what_fold.unfolded:
            self._show_task_options()

    def _show_task_options(self) -> ipw.VBox:
        has_any = bool(self.task_options.fields)
        boxes.put(self.task_box, [self.task_options.panel] if has_any else [])
        return self.task_box


class Entries(traitlets.HasTraits):
    """The entry of a setting in every form that has it; `value` is that of the first."""

    value = traitlets.Any()

    def __init__(self, fields: list[Field]):
        super().__init__(value=fields[0].entry)
        self.fields = fields
        fields[0].observe(lambda change: self.set_trait("value", change["new"]), "entry")
        self.observe(self._spread, "value")

    def _spread(self, change: Any) -> None:
        if change["new"] != self.fields[0].entry:
            for field in self.fields:
                field.entry = change["new"]


def _short(value: Any) -> str:
    """Return a value for a one-line note."""
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= 24 else f"{text[:23]}…"
