"""What to compare: model, task, seeds, methods and training, every control drawn from its declaration.

`setup.comparison()` is the same object that a script or a YAML file would describe.
"""

import logging
from collections.abc import Callable

from qtha_lab.errors import Refusal
from qtha_lab.experiment import Comparison, Training
from qtha_lab.models import model_names
from qtha_lab.settings import settings_of
from qtha_lab.tasks import task_names, task_settings

from . import look
from .banner import Fault
from .fold import Fold
from .form import Form
from .guard import OnError, guarded
from .methods import MethodCards

log = logging.getLogger(__name__)

ELSEWHERE = ("methods", "training", "task_options")


class Setup:
    """Show `setup.panel`.

    Args:
        start: The comparison to start with.
        changed: Called after every entry.
        on_error: Takes what goes wrong in the answer to an entry or a button.
    """

    def __init__(self, start: Comparison, changed: Callable[[], None], on_error: OnError):
        self.changed = guarded(changed, on_error)
        settings = settings_of(Comparison)
        for name in ELSEWHERE:
            del settings[name]
        values = start.model_dump()
        self.what = Form(settings, values, {"model": model_names(), "task": task_names()})
        self.training = Form(settings_of(Training), values["training"])
        model = self.what["model"]
        self.methods = MethodCards(start.methods, changed, lambda: model.value, on_error)
        self.task_box = look.column()
        self._draw_task_options(start.task_options)
        draw = guarded(lambda _: self._draw_task_options({}), on_error)
        self.what["task"].control.observe(draw, "value")
        self.what.observe(self.changed)
        self.training.observe(self.changed)
        self.panel = look.column(
            look.column(
                look.heading("What to fine-tune"), self.what.panel, self.task_box, css="qtha-group"
            ),
            self.methods.panel,
            Fold("Training", self.training.panel).add_class("qtha-group"),
        )

    def comparison(self) -> Comparison:
        """Everything as entered.

        Raises:
            Refusal: One sentence on the first entry that is out of its limits or contradicts another.
        """
        for fault in self.faults():
            raise Refusal(fault.sentence)
        return Comparison(
            **self.what.values,
            task_options=self.task_options.changed,
            methods=self.methods.choices(),
            training=Training(**self.training.changed),
        )

    def faults(self) -> list[Fault]:
        """All that is wrong on its own, in the order of the page."""
        of_task = self._faults_of_what() + self.task_options.faults()
        return of_task + self.methods.faults() + self.training.faults()

    def _faults_of_what(self) -> list[Fault]:
        """Entries that their declaration refuses, else what the description does, such as a seed given twice."""
        try:
            Comparison(**self.what.values)
        except Refusal as refusal:
            return self.what.faults() or [self.what.fault(str(refusal))]
        return self.what.faults()

    def fault(self, sentence: str) -> Fault:
        """A refusal of the whole, with the control it is about where it begins with a setting's name."""
        forms = (self.what, self.task_options, self.training)
        faults = [form.fault(sentence) for form in forms]
        return next((fault for fault in faults if fault.control), faults[0])

    def _draw_task_options(self, values: dict) -> None:
        """The options of the task now picked; a name not known here has none to draw."""
        try:
            settings = task_settings(self.what["task"].value)
        except Refusal as reason:
            log.debug("no options are shown: %s", reason)
            settings = {}
        self.task_options = Form(settings, values)
        self.task_options.observe(self.changed)
        self.task_box.children = [self.task_options.panel] if settings else []
