"""What to compare: model, task, seeds, training and methods, every control drawn from its declaration.

`setup.comparison()` is the same object that a script or a YAML file would describe.
"""

from collections.abc import Callable, Iterable

import ipywidgets as ipw

from qtha_lab.experiment import Comparison, Training
from qtha_lab.models import model_names
from qtha_lab.settings import settings_of
from qtha_lab.tasks import task_names
from widgets import look
from widgets.form import Form
from widgets.methods import MethodTabs


class Setup:
    """Show `setup.panel`; `changed()` is called after every entry."""

    def __init__(self, methods: Iterable[str], changed: Callable[[], None], values: dict):
        declared = settings_of(Comparison)
        plain = {n: s for n, s in declared.items() if n not in ("methods", "training")}
        known = {"model": model_names(), "task": task_names()}
        training = values.pop("training", {})
        self.what = Form(plain, values, known)
        self.training = Form(settings_of(Training), training)
        self.methods = MethodTabs(methods, changed)
        self.what.observe(changed)
        self.training.observe(changed)
        folded = ipw.Accordion(
            [look.column(self.training.panel, max_height="330px", overflow="auto")]
        )
        folded.set_title(0, "Training")
        self.panel = look.column(self.what.panel, self.methods.panel, folded)

    def comparison(self) -> Comparison:
        """Everything as entered.

        Raises:
            ValueError: The first entry that cannot be, in one sentence.
        """
        for wrong in (self.what.errors | self.training.errors).values():
            raise ValueError(wrong)
        methods = self.methods.choices()
        return Comparison(**self.what.values, methods=methods, training=self.training.changed)
