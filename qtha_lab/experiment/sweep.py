"""Description of a sweep: methods with settings as axes, and the choice of points.

Any declared setting can be an axis. `qtha_lab.studies.sweep` runs the trials.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import field_validator, model_validator

from qtha_lab.core import call_syntax
from qtha_lab.core.errors import Refusal
from qtha_lab.core.libraries import require_extra
from qtha_lab.core.metrics import MEASURES, recorded
from qtha_lab.core.settings import settings_of, unknown
from qtha_lab.experiment import plan, validation
from qtha_lab.experiment.axes import MOST_POINTS, Axis, Search, count_points
from qtha_lab.experiment.description import MethodsAndSeeds
from qtha_lab.experiment.experiment import Experiment
from qtha_lab.experiment.method_choice import MethodChoice, scaled
from qtha_lab.experiment.method_list import method_entry
from qtha_lab.experiment.training import Training

_NO_QUOTES = str.maketrans("", "", "'\"")
OF_THE_RUN = ("model", "task", "quantization", "head")
MOST_CHECKED = 64
RATIO = re.compile(r"(?:(\w+)\.)?rate_ratios\.(\w+)")
Point = Mapping[str, Any]


class AxisTarget(NamedTuple):
    """Position of an axis's setting in an experiment."""

    part: Literal["choice", "option", "training", "ratio", "run"]
    name: str


class Sweep(Search, MethodsAndSeeds, init=False):
    """Sweep of several methods over points on the axes, with every seed at each point.

    Example:
        >>> axes = {"learning_rate": "1e-3..1e-1 log 3", "qtha.r": [4, 8]}
        >>> sweep = Sweep(methods="lora,qtha", axes=axes)
        >>> [len(sweep.grid(method)) for method in sweep.methods]
        [3, 6]
        >>> point = {"learning_rate": 0.01, "qtha.r": 4}
        >>> sweep.experiments_at(sweep.methods[1], point)[0].method.label
        'qtha(r=4,learning_rate=0.01)'
    """

    objective: str = "eval_loss"
    """Measure to optimise at the end of a run, averaged over its seeds."""

    @field_validator("objective")
    @classmethod
    def _known_objective(cls, name: str) -> str:
        if name not in recorded("eval") + recorded("generation"):
            raise unknown("objective", name, recorded("eval") + recorded("generation"))
        return name

    @model_validator(mode="after")
    def _every_axis_is_used(self) -> Sweep:
        for name in self.axes:
            if not any(place_of(name, method) for method in self.methods):
                raise unknown("axis", name, _known_axes(self.methods))
        if self.pruner != "none" and self.objective not in recorded("eval"):
            raise Refusal(
                f"objective must be evaluated during training with a pruner, got {self.objective}."
            )
        return self

    @model_validator(mode="after")
    def _grid_is_small(self) -> Sweep:
        if self.search != "grid":
            return self
        try:
            counts = [count_points(self.axes_of(method).values()) for method in self.methods]
        except Refusal as refused:
            raise Refusal(f"axes: {refused}") from None
        if sum(counts) > MOST_POINTS:
            raise Refusal(
                f"The grids of all methods must have at most {MOST_POINTS:,} points together, "
                f"got {sum(counts):,}. Give fewer values to an axis, or search at random with a "
                "number of trials."
            )
        return self

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """Optimisation direction of the objective, as Optuna names it."""
        return "minimize" if MEASURES[self.objective].better == "lower" else "maximize"

    def axes_of(self, method: MethodChoice) -> dict[str, Axis]:
        """Return the axes that apply to a method."""
        return {n: Axis.of(values) for n, values in self.axes.items() if place_of(n, method)}

    def points_of(self, method: MethodChoice) -> int:
        """Count the points of a method's grid without building it.

        Raises:
            Refusal: If there are too many points, or a range of fractions has no number of values.
        """
        axes = self.axes_of(method).values()
        try:
            for axis in axes:
                axis.check_grid()
            return count_points(axes)
        except Refusal as refused:
            raise Refusal(f"axes: {refused}") from None

    def grid(self, method: MethodChoice) -> list[Point]:
        """Return all points of a method's grid; the first axis varies slowest."""
        self.points_of(method)
        axes = self.axes_of(method)
        values = [axis.grid() for axis in axes.values()]
        return [dict(zip(axes, point, strict=True)) for point in itertools.product(*values)]

    def trials_of(self, method: MethodChoice) -> int:
        """Return the number of trials of a method."""
        if self.search != "grid":
            return self.trials or 0
        whole = self.points_of(method)
        return whole if self.trials is None else min(whole, self.trials)

    def experiments_at(self, method: MethodChoice, point: Point) -> list[Experiment]:
        """Return the experiments of one trial: a method at a point, with every seed."""
        fields, choice, course = self.placed_at(method, point)
        if method.title:  # otherwise all points would have the same title
            values = ", ".join(map(call_syntax.write_value, point.values()))
            title = f"{method.title} at {values}".translate(_NO_QUOTES)[:60]
            choice = choice.replace(title=title)
        placed = scaled(choice, self.scaling)
        return [Experiment(**fields, method=placed, training=course, seed=s) for s in self.seeds]

    def placed_at(
        self, method: MethodChoice, point: Point
    ) -> tuple[dict[str, Any], MethodChoice, Training]:
        """Return the shared fields, the unscaled method and the training settings at a point.

        Raises:
            Refusal: If the method has no setting of this axis.
        """
        fields = self.shared_fields
        choice: dict[str, Any] = {}
        options, training, ratios = dict(method.options), {}, dict(self.training.rate_ratios)
        for name, value in point.items():
            place = place_of(name, method)
            if place is None:
                raise Refusal(
                    f"Every axis must be a setting of its methods, got {name}, which "
                    f"{method.label} lacks."
                )
            part = {
                "choice": choice,
                "option": options,
                "training": training,
                "ratio": ratios,
                "run": fields,
            }
            part[place.part][place.name] = value
        if ratios != self.training.rate_ratios:
            training["rate_ratios"] = ratios
        course = self.training.replace(**training) if training else self.training
        return fields, method.replace(**choice, options=options), course

    def check(self, runs_dir: Path | None = None) -> None:
        """Refuse a sweep with a trial that cannot run, or without optuna.

        Checks every point of a small grid, otherwise the ends of each axis.
        """
        require_extra("sweep", "A sweep", "optuna")
        for method in self.methods:
            for point in self._points_to_check(method):
                experiment = self.experiments_at(method, point)[0]
                try:
                    validation.check_run(plan.resolve(experiment), runs_dir)
                except Refusal as refused:
                    where = ", ".join(f"{name}={value}" for name, value in point.items())
                    raise Refusal(f"{method.label} at {where}: {refused}") from None

    def _points_to_check(self, method: MethodChoice) -> list[Point]:
        if self.search == "grid" and self.points_of(method) <= MOST_CHECKED:
            return self.grid(method)
        axes = self.axes_of(method)
        first = {name: axis.ends()[0] for name, axis in axes.items()}
        return [first, *({**first, name: axis.ends()[1]} for name, axis in axes.items())]


def place_of(axis: str, method: MethodChoice) -> AxisTarget | None:
    """Find the position of an axis in a method's experiments.

    None if the axis does not apply to the method.

    Raises:
        Refusal: If the name is both an option of the method and a training setting.
    """
    if ratio := RATIO.fullmatch(axis):
        is_its = ratio[1] in (None, "training", method.name)
        return AxisTarget("ratio", ratio[2]) if is_its else None
    owner, dot, name = axis.rpartition(".")
    if dot and owner == "training":
        return AxisTarget("training", name) if name in settings_of(Training) else None
    if dot:
        return _of_method(name, method) if owner == method.name else None
    placed, in_training = _of_method(axis, method), axis in settings_of(Training)
    if placed and in_training:
        raise Refusal(
            f"An axis must name its owner, training.{axis} or {method.name}.{axis}, got {axis}."
        )
    if in_training:
        return AxisTarget("training", axis)
    return placed or (AxisTarget("run", axis) if axis in OF_THE_RUN else None)


def _of_method(name: str, method: MethodChoice) -> AxisTarget | None:
    if name == "learning_rate":
        return AxisTarget("choice", name)
    return AxisTarget("option", name) if name in method_entry(method.name).settings else None


def _known_axes(methods: list[MethodChoice]) -> list[str]:
    names = {"learning_rate", *OF_THE_RUN, *settings_of(Training)}
    for method in methods:
        names |= method_entry(method.name).settings.keys()
    return sorted(names)
