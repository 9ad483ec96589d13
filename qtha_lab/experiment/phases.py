"""Training phases: steps, trained tensor groups and disabled parts of each phase.

Reads and writes their text form; `qtha_lab.training.schedules` executes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from qtha_lab.core import call_syntax
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.method_choice import Option
from qtha_lab.experiment.validated_model import Declared, FieldError


class Phase(Declared):
    """One training phase.

    Example:
        >>> Phase(name="linear", steps=50, options={"use_circuit": False}).text
        'linear(steps=50,use_circuit=false)'
    """

    name: str = ""
    """Name in the log; empty is phase1, phase2, …"""
    steps: int = Field(ge=1)
    """Optimiser steps."""
    train: list[str] | None = Field(default=None, min_length=1)
    """Trained groups of tensors; empty trains all."""
    options: dict[str, Option] = Field(default_factory=dict)
    """Method settings of this phase, such as use_circuit."""

    @property
    def text(self) -> str:
        """Text form that `parse_phases` reads."""
        trained = {} if self.train is None else {"train": self.train}
        return call_syntax.call(self.name, {"steps": self.steps, **trained, **self.options})


def parse_phases(text: str) -> list[Phase]:
    """Parse phases such as `linear(steps=50,use_circuit=false),all(steps=50,train=[W_q,B])`.

    Raises:
        Refusal: If a phase has no steps or trains nothing.
    """
    return [_parse_phase(part) for part in call_syntax.split_list(text)]


def _parse_phase(text: str) -> Phase:
    name, options = call_syntax.parse_call(text, "phase")
    stated = {key: options.pop(key) for key in ("steps", "train") if key in options}
    if "train" in stated and not isinstance(stated["train"], list):
        stated["train"] = [stated["train"]]
    if "train" in stated:
        stated["train"] = list(map(str, stated["train"]))
    try:
        return Phase(name=name, options=options, **stated)
    except FieldError as refused:
        raise refused.inside(name) from None


def phases_text(phases: Sequence[Phase]) -> str:
    """Return the text form of phases."""
    return ",".join(phase.text for phase in phases)


def named_phases(phases: str | Sequence[Phase | Mapping[str, Any]]) -> list[Phase]:
    """Return phases with names, from their text form or a list.

    Raises:
        Refusal: If two phases have the same name.

    Example:
        >>> phases_text(named_phases([{"steps": 5}, Phase(steps=5, train=["B"])]))
        'phase1(steps=5),phase2(steps=5,train=[B])'
    """
    if isinstance(phases, str):
        phases = parse_phases(phases)
    listed: list[Phase] = []
    for number, phase in enumerate(phases, 1):
        phase = phase if isinstance(phase, Phase) else Phase(**phase)
        listed.append(phase if phase.name else phase.replace(name=f"phase{number}"))
    names = [phase.name for phase in listed]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise Refusal(f"phases must have different names, got {name} twice.")
    return listed
