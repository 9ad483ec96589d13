"""Training phases: steps, trained tensor groups and disabled parts of each phase.

Reads, writes and validates their text form; `qtha_lab.training.phases` executes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from qtha_lab.core import call_syntax as calls
from qtha_lab.core.errors import Refusal

if TYPE_CHECKING:
    from qtha_lab.experiment.plan import Plan

OWN = ("steps", "train")


class Stage(NamedTuple):
    """One training phase.

    Attributes:
        name: Name in the log of a run.
        steps: Optimiser steps.
        train: Groups of trained tensors; None selects all.
        options: Settings of the method that differ during the phase, such as `use_circuit=false`.

    Example:
        >>> parse("linear(steps=50,use_circuit=false), all(steps=50,train=[W_q,angles,B])")[0]
        Stage(name='linear', steps=50, train=None, options={'use_circuit': False})
    """

    name: str
    steps: int
    train: tuple[str, ...] | None
    options: Mapping[str, Any]

    @property
    def text(self) -> str:
        """Text form that `parse` reads."""
        trained = {} if self.train is None else {"train": list(self.train)}
        return calls.call(self.name, {"steps": self.steps, **trained, **self.options})


def parse(text: str) -> list[Stage]:
    """Parse phases such as `linear(steps=50,use_circuit=false),all(steps=50,train=[W_q,angles,B])`.

    Raises:
        Refusal: If a phase has no steps, trains nothing, or repeats a name.
    """
    stages = [_stage(part) for part in calls.split_list(text)]
    names = [stage.name for stage in stages]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise Refusal(f"two stages are called {name}: each needs its own name")
    return stages


def written(stages: str | Sequence[Mapping[str, Any]]) -> str:
    """Convert phases to their text form.

    Accepts that text, or mappings of `name`, `steps`, `train` and `set`.

    Example:
        >>> written([{"steps": 5, "set": {"use_circuit": False}}, {"steps": 5, "train": ["B"]}])
        'stage1(steps=5,use_circuit=false),stage2(steps=5,train=[B])'
    """
    if isinstance(stages, str):
        return ",".join(stage.text for stage in parse(stages))
    texts = []
    for number, fields in enumerate(stages, 1):
        plain = {k: v for k, v in fields.items() if k not in ("name", "set")}
        name = str(fields.get("name", f"stage{number}"))
        texts.append(calls.call(name, plain | dict(fields.get("set", {}))))
    return written(",".join(texts))


def check_steps(stages: str, steps: int) -> None:
    """Refuse phases whose steps do not sum to the training steps."""
    counts = [stage.steps for stage in parse(stages)]
    if counts and sum(counts) != steps:
        total = " + ".join(map(str, counts))
        raise Refusal(f"stages take {total} = {sum(counts)} steps, not steps={steps}")


def check_stages(plan: Plan) -> None:
    """Refuse phases that the plan's method does not support.

    Raises:
        Refusal: If a phase trains nothing or sets an unsupported option, or the last phase disables
            a part.
    """
    stages = parse(plan.experiment.training.stages)
    if not stages:
        return
    from qtha_lab.adapters import get_method
    from qtha_lab.adapters import phases as staged
    from qtha_lab.adapters.attach import adapted_skeleton

    choice = plan.experiment.method
    if stages[-1].options:
        options = calls.write_options(dict(stages[-1].options))
        raise Refusal(
            f"the last stage must train the method as it is: give {options} to the method, not to stage "
            f"{stages[-1].name}"
        )
    for stage in stages:
        get_method(choice.name).check({**choice.options, **stage.options})
    staged.check_phases(adapted_skeleton(plan.model, plan.config), stages)


def _stage(text: str) -> Stage:
    name, options = calls.parse_call(text, "stage")
    steps, train = options.pop("steps", None), options.pop("train", None)
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise Refusal(f"stage {name} must have steps of at least 1, not {steps!r}")
    if train is not None:
        groups = train if isinstance(train, list) else [train]
        if not groups:
            raise Refusal(
                f"stage {name} trains nothing: name groups of tensors, or leave train out"
            )
        train = tuple(map(str, groups))
    return Stage(name, steps, train, options)
