"""Description of a run: a model, a task, a method, a training and a seed.

Describes and refuses invalid settings. Runs nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import plan, validation
from qtha_lab.experiment.description import RunDescription


class Experiment(RunDescription, init=False):
    """One fine-tune: a model, a task, a method and a seed.

    Example:
        >>> Experiment(method="lora(r=4)", steps=20).to_command()
        "qtha-lab run --method 'lora(r=4)' --steps 20"
    """

    def as_recorded(self) -> Experiment:
        """Return the experiment as a run records it.

        The steps of its epochs and the size of its method are stored as numbers.
        """
        return cast("Experiment", plan.resolve(self).as_recorded())

    def check(self, runs_dir: Path | None = None) -> None:
        """Refuse everything that can be refused before a weight is loaded.

        Raises:
            Refusal: With the rule and the value.
        """
        if self.training.sealed:
            raise Refusal(
                "sealed must be false for a single run: `qtha-lab compare` opens the sealed pool "
                "once for each claim."
            )
        validation.check_run(plan.resolve(self), runs_dir)
