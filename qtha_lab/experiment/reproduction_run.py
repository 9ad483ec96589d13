"""The description of one arm of a reproduction with one seed, read and listed like any experiment's.

What an arm does is code of `qtha_lab.reproductions`, not a fine-tune of a language model: such a description is
written and read here, and started by `qtha-lab reproduce` alone.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from qtha_lab.core import call_syntax as calls
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened
from qtha_lab.experiment.experiment import Experiment
from qtha_lab.experiment.recorded import is_arm

NAME = re.compile(r"[A-Za-z_][\w-]*")


class Reproduced(Experiment):
    """An arm of a reproduction: `model` and `reproduction` are its name, `task` its data, `method` the arm.

    Example:
        >>> arm = Reproduced.arm("ttn_vqc", "staged", data="digits", steps=60, seed=1)
        >>> arm.model, arm.task, arm.method.label, arm.training.steps
        ('ttn_vqc', 'digits', 'staged', 60)
        >>> arm.check()
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: an arm of a reproduction is run by: qtha-lab reproduce ttn_vqc
    """

    reproduction: str = Field(min_length=1, description="The reproduction that it is an arm of.")
    quick: bool = Field(default=False, description="Whether it is the short form.")

    @field_validator("reproduction")
    @classmethod
    def _is_a_call(cls, text: str) -> str:
        """Refuse a text that names no reproduction."""
        name, _ = calls.parse_call(text, "reproduction")
        if not NAME.fullmatch(name) or not text.isprintable():
            raise Refusal(
                f"a reproduction must read name or name(option=value,...), got {shortened(text)!r}"
            )
        return text

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...

    @classmethod
    def arm(
        cls, reproduction: str, arm: str, *, data: str, steps: int, seed: int, quick: bool = False
    ) -> Reproduced:
        """One arm with one seed.

        Args:
            reproduction: Its name, with settings of it as `NAME(setting=value,…)`.
            arm: The arm's name.
            data: What it works on, in a word.
            steps: Optimiser steps, or whatever is counted.
            seed: Of everything random.
            quick: Whether it is the short form.
        """
        return cls(
            model=calls.parse_call(reproduction, "reproduction")[0], task=data, method=arm, training={"steps": steps}, seed=seed,
            reproduction=reproduction, quick=quick,
        )  # fmt: skip

    def as_recorded(self) -> Reproduced:
        """Return it as it is: its method is the name of an arm."""
        return self

    def check(self, runs_dir: Path | None = None) -> None:
        """Refuse to be launched as a fine-tune."""
        raise Refusal(
            f"an arm of a reproduction is run by: qtha-lab reproduce {shlex.quote(self.reproduction)}"
        )

    def to_command(self) -> str:
        """The command that runs it, with all other arms and seeds."""
        return f"qtha-lab reproduce {shlex.quote(self.reproduction)}{' --quick' * self.quick}"

    def to_python(self) -> str:
        """The Python that runs it, with all other arms and seeds."""
        quick = ", quick=True" if self.quick else ""
        return (
            "from qtha_lab.reproductions import reproduce\n\n"
            f"verdict = reproduce({self.reproduction!r}{quick})\n"
        )


def read_recorded(file: Path) -> Experiment:
    """The description in the directory of a run: of a fine-tune, or of an arm of a reproduction.

    Raises:
        Refusal: Naming the file and the line, if it is neither.
    """
    return (Reproduced if is_arm(file) else Experiment).from_yaml(file)
