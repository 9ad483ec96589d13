"""What to compare: model, task, seeds, methods and training, every control drawn from its declaration.

`setup.comparison()` is the same object that a script or a YAML file would describe.
"""

from collections.abc import Callable

import ipywidgets as ipw

from qtha_lab.errors import Refusal
from qtha_lab.experiment import Comparison, Training
from qtha_lab.models import model_names
from qtha_lab.settings import settings_of
from qtha_lab.tasks import task_names, task_settings
from widgets import look
from widgets.form import Form
from widgets.methods import MethodTabs

ELSEWHERE = ("methods", "training", "task_options")


class Setup:
    """Show `setup.panel`; `changed()` is called after every entry."""

    def __init__(self, start: Comparison, changed: Callable[[], None]):
        self.changed = changed
        declared = settings_of(Comparison)
        plain = {name: one for name, one in declared.items() if name not in ELSEWHERE}
        given = start.model_dump()
        self.what = Form(plain, given, {"model": model_names(), "task": task_names()})
        self.training = Form(settings_of(Training), given["training"])
        self.methods = MethodTabs(start.methods, changed, lambda: self.what["model"].value)
        self.task_box = look.column()
        self._draw_task_options(start.task_options)
        self.what["task"].control.observe(lambda _: self._draw_task_options({}), "value")
        self.what.observe(changed)
        self.training.observe(changed)
        scroll = look.column(self.training.panel, max_height="330px", overflow="auto")
        folded = ipw.Accordion([scroll], titles=("Training",))
        self.panel = look.column(self.what.panel, self.task_box, self.methods.panel, folded)

    def comparison(self) -> Comparison:
        """Everything as entered.

        Raises:
            ValueError: The first entry that cannot be, in one sentence.
        """
        options = self.task_options
        for wrong in (self.what.errors | options.errors | self.training.errors).values():
            raise Refusal(wrong)
        return Comparison(
            **self.what.values,
            task_options=options.changed,
            methods=self.methods.choices(),
            training=self.training.changed,
        )

    def _draw_task_options(self, values: dict) -> None:
        """The options of the task now picked; a name not known here has none to draw."""
        try:
            declared = task_settings(self.what["task"].value)
        except ValueError:
            declared = {}
        self.task_options = Form(declared, values)
        self.task_options.observe(self.changed)
        self.task_box.children = [self.task_options.panel] if declared else []
