"""Sizes of an experiment that are known before its times: parameters, memory and steps.

Nothing is measured and no kernel is compiled. The table of trained parameters by rank reads the
config of a model alone, so a model of any size can be counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from qtha_lab.adapters import get_method
from qtha_lab.adapters.adapted_model import count_trainable
from qtha_lab.core.errors import Refusal
from qtha_lab.core.paths import as_path
from qtha_lab.experiment import Experiment, validation
from qtha_lab.experiment.cost.preview import Cancelled
from qtha_lab.experiment.cost.shapes import SHAPES, ModelShape, get_shape, shape_of
from qtha_lab.experiment.method_choice import MethodChoice
from qtha_lab.experiment.plan import resolve
from qtha_lab.models.catalogue import folder_of
from qtha_lab.models.config_files import load_config


@dataclass(frozen=True)
class ExperimentSizes:
    """Sizes of an experiment; `bytes` is the least memory of a step."""

    trainable_parameters: int
    base_parameters: int
    bytes: int
    steps: int

    @property
    def memory(self) -> str:
        """The least memory of a step as text."""
        return f"{self.bytes / 2**20:,.0f} MiB"


def sizes(experiment: Experiment, cancelled: Callable[[], bool] = lambda: False) -> ExperimentSizes:
    """Compute the sizes of an experiment.

    Args:
        experiment: Experiment to predict.
        cancelled: Checked between stages of the work; raises `Cancelled` once it returns True.

    Raises:
        Refusal: For the reasons of `Experiment.check`, except disk space.

    Example:
        >>> sizes(Experiment(method="lora(r=2)")).trainable_parameters
        7680
    """

    def go_on() -> None:
        if cancelled():
            raise Cancelled

    go_on()
    plan = resolve(experiment)
    validation.check_plan(plan, go_on)
    go_on()
    return ExperimentSizes(
        trainable_parameters=plan.layout.trainable,
        base_parameters=plan.model.num_parameters(),
        bytes=sum(plan.bytes.values()),
        steps=plan.steps,
    )


MOST_RANK = 4096


class ParameterCount(NamedTuple):
    """Trained parameters of a method at one rank.

    Attributes:
        r: Rank.
        method: Label of the method without its rank.
        per_block: Parameters of one transformer block.
        in_all: Parameters of the whole model.
        change: Share of the first method's parameters at this rank, minus 1.
    """

    r: int
    method: str
    per_block: int
    in_all: int
    change: float


def parameter_table(
    model: str, methods: Sequence[MethodChoice], ranks: Sequence[int], targets: Sequence[str] | str
) -> list[ParameterCount]:
    """Count the parameters of methods at several ranks, by rank, then by method.

    Args:
        model: Name of a shape or a model, or a folder with its config.json.
        methods: Methods; the first is the reference.
        ranks: Ranks to count.
        targets: Names of the adapted modules, or "all-linear".

    Raises:
        Refusal: If the model, a method or a module is unknown, or a rank is below 1.

    Example:
        >>> methods = [MethodChoice.parse(m) for m in ("lora", "qtha(size=paper,n_layers=1)")]
        >>> lora, qtha = parameter_table("qwen2-7b", methods, [10], ["q_proj", "v_proj"])
        >>> lora.per_block, qtha.per_block, f"{qtha.change:.1%}"
        (112640, 26880, '-76.1%')

    Source:
        The comparison of parameters in arXiv:2503.12790, which states 76 % fewer.
    """
    shape = _shape(model)
    names = shape.targets(targets if isinstance(targets, str) else list(targets))
    skeleton = shape.skeleton(names)
    rows: list[ParameterCount] = []
    for r in ranks:
        if not 1 <= r <= MOST_RANK:
            raise Refusal(f"ranks must be 1 to {MOST_RANK:,}, got {r}.")
        counts = []
        for choice in methods:
            options: dict[str, Any] = choice.options | {"r": r}
            config = get_method(choice.name).make_config(target_modules=names, **options)
            counts.append(count_trainable(skeleton, config))
        for choice, count in zip(methods, counts, strict=True):
            change = count / counts[0] - 1
            rows.append(
                ParameterCount(r, choice.label, round(count / shape.n_blocks), count, change)
            )
    return rows


def _shape(model: str) -> ModelShape:
    if model in SHAPES:
        return get_shape(model)
    folder = as_path(model)
    if not (folder / "config.json").is_file():
        folder = folder_of(model, "causal-lm")
    return shape_of(load_config(folder, None), model)
