"""Description of one reproduction arm with one seed, stored like an experiment's.

The arm runs code of `qtha_lab.reproductions` instead of a language model fine-tune. This module
only reads and writes its description; `qtha-lab reproduce` starts it.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from qtha_lab.core import call_syntax
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened
from qtha_lab.experiment.experiment import Experiment
from qtha_lab.experiment.serialisation import is_arm

NAME = re.compile(r"[A-Za-z_][\w-]*")


class Reproduced(Experiment):
    """Arm of a reproduction, stored in the fields of an experiment.

    `model` and `reproduction` hold its name, `task` its data, `method` the arm.

    Example:
        >>> arm = Reproduced.arm("ttn_vqc", "staged", data="digits", steps=60, seed=1)
        >>> arm.model, arm.task, arm.method.label, arm.training.steps
        ('ttn_vqc', 'digits', 'staged', 60)
        >>> arm.check()
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: An arm of a reproduction must be started by: qtha-lab
        reproduce ttn_vqc
    """

    reproduction: str = Field(min_length=1, description="The reproduction that it is an arm of.")
    quick: bool = Field(default=False, description="Whether it is the short form.")
    rate_factor: float = Field(default=1.0, gt=0, description="Factor of its learning rates.")

    @field_validator("reproduction")
    @classmethod
    def _is_a_call(cls, text: str) -> str:
        """Refuse a text that is no reproduction call."""
        name, _ = call_syntax.parse_call(text, "reproduction")
        if not NAME.fullmatch(name) or not text.isprintable():
            raise Refusal(
                "A reproduction must have the form name or name(option=value,...), got "
                f"{shortened(text)!r}."
            )
        return text

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @classmethod
    def arm(
        cls,
        reproduction: str,
        arm: str,
        *,
        data: str,
        steps: int,
        seed: int,
        quick: bool = False,
        rate_factor: float = 1.0,
    ) -> Reproduced:
        """Describe one arm with one seed.

        Args:
            reproduction: Name of the reproduction, with settings as `NAME(setting=value,…)`.
            arm: Name of the arm.
            data: Data of the arm, in one word.
            steps: Number of optimiser steps, or of the arm's own unit.
            seed: Seed of all random numbers.
            quick: Select the short form.
            rate_factor: Factor of the declared learning rates.
        """
        return cls(
            model=call_syntax.parse_call(reproduction, "reproduction")[0],
            task=data,
            method=arm,
            steps=steps,
            seed=seed,
            reproduction=reproduction,
            quick=quick,
            rate_factor=rate_factor,
        )

    def as_recorded(self) -> Reproduced:
        """Return the arm unchanged, because its method is the name of an arm."""
        return self

    def check(self, runs_dir: Path | None = None) -> None:
        """Refuse a launch as a fine-tune."""
        raise Refusal(
            "An arm of a reproduction must be started by its reproduction, got a launch. Run: "
            f"qtha-lab reproduce {shlex.quote(self.reproduction)}"
        )

    def to_command(self) -> str:
        """Return the command that runs this arm with all other arms and seeds."""
        return f"qtha-lab reproduce {shlex.quote(self.reproduction)}{' --quick' * self.quick}"

    def to_python(self) -> str:
        """Return the Python code that runs this arm with all other arms and seeds."""
        quick = ", quick=True" if self.quick else ""
        return (
            "from qtha_lab.reproductions import reproduce\n\n"
            f"verdict = reproduce({self.reproduction!r}{quick})\n"
        )


def read_recorded(file: Path) -> Experiment:
    """Read the description in a run directory: a fine-tune, or a reproduction arm.

    Raises:
        Refusal: If the description is neither; names the file and line.
    """
    return (Reproduced if is_arm(file) else Experiment).from_yaml(file, links=False)
