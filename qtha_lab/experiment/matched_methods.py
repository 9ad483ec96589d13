"""Methods of a comparison after matching: equal r, equal parameters, equal seconds, or none.

Matching sets values that a method's options omit, according to the first method of the list.
Seconds are measured; `qtha_lab.studies.comparison.contenders` then chooses the steps.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.cache import Cache
from qtha_lab.experiment.description import ModelTask
from qtha_lab.experiment.method_choice import MethodChoice, Scaling, scaled
from qtha_lab.experiment.plan import resolve
from qtha_lab.experiment.sweep import Point
from qtha_lab.experiment.training import Training

if TYPE_CHECKING:
    from qtha_lab.experiment.description import RunDescription

Matching = Literal["as_given", "equal_r", "equal_parameters", "equal_seconds"]
NEAR = 0.98  # least fraction of the first method's parameters for a method with a fixed size
MOST = 4096  # upper limit of a setting that declares none
_SIZES: Cache[dict[str, Any]] = Cache("matched size", most=128)
log = logging.getLogger(__name__)


def matched(
    methods: Sequence[MethodChoice], rule: Matching, experiment: RunDescription
) -> list[MethodChoice]:
    """Return the methods with the sizes that the rule and the model determine.

    Raises:
        Refusal: If a method has no setting to match, or its smallest size exceeds the first
            method's.

    Example:
        >>> from qtha_lab.experiment import Comparison
        >>> comparison = Comparison(methods="lora(r=4),dora", matching="equal_r")
        >>> [contender.choice.label for contender in comparison.contenders()]
        ['lora(r=4)', 'dora(r=4)']
    """
    first, *others = _with_numbers(methods[0], experiment), *methods[1:]
    if rule == "equal_r":
        r = _r_of(first)
        others = [_at_r(method, r, first) for method in others]
    elif rule == "equal_parameters":
        budget = _count(experiment, first)
        others = [_sized(method, budget, first, experiment) for method in others]
    return [_with_numbers(method, experiment) for method in (first, *others)]


def _with_numbers(method: MethodChoice, experiment: RunDescription) -> MethodChoice:
    """Return a method with its size resolved for the model.

    Returns the method unchanged if the model is not available.
    """
    try:
        return resolve(experiment.replace(method=method)).method
    except Refusal as reason:  # `check` refuses it; lists of old runs must remain readable
        log.debug("the size of %s stays open: %s", method.label, reason)
        return method


def size_settings(method: MethodChoice, rule: Matching) -> tuple[str, ...]:
    """Return the settings of a method that a rule determines."""
    from qtha_lab.adapters import get_method

    if rule == "equal_parameters":
        return get_method(method.name).size_settings
    return ("r",) if rule == "equal_r" else ()


def _count(experiment: RunDescription, method: MethodChoice) -> int:
    return resolve(experiment.replace(method=method)).layout.trainable


def _r_of(method: MethodChoice) -> int:
    from qtha_lab.adapters import get_method

    entry = get_method(method.name)
    if "r" not in entry.settings():
        raise Refusal(
            f"matching=equal_r must have methods with an r, got {method.label}. "
            "Use matching=equal_parameters."
        )
    return entry.make_config(**method.options).r


def _at_r(method: MethodChoice, r: int, first: MethodChoice) -> MethodChoice:
    if _r_of(method) == r:
        return method
    if "r" in method.options:
        raise Refusal(
            f"R of {method.label} must be empty or {r} with matching=equal_r, as for {first.label}."
        )
    return method.replace(options=method.options | {"r": r})


def _sized(
    method: MethodChoice, budget: int, first: MethodChoice, experiment: RunDescription
) -> MethodChoice:
    """Return the method with the largest size within the budget."""
    from qtha_lab.adapters import get_method

    entry = get_method(method.name)
    free = [name for name in entry.size_settings if name not in method.options]
    if not free:
        return _as_it_is(method, budget, first, experiment)
    plan = resolve(experiment.replace(method=method))
    model = plan.model_key
    key = None if model is None else (model, entry.config_class, method.meaning, budget)

    def sizes() -> dict[str, Any]:
        if not hasattr(entry.config_class, "for_budget"):
            return {free[0]: _nearest(method, free[0], budget, experiment)}
        config = entry.config_class.for_budget(
            plan.model,
            trainable_parameters=budget,
            target_modules=plan.target_modules,
            **method.options,
        )
        declared = entry.settings()
        return {n: v for n in free if (v := getattr(config, n)) != declared[n].default}

    try:
        return method.replace(options=method.options | _SIZES.get(key, sizes))
    except Refusal as refused:
        raise Refusal(
            f"matching: {method.label} cannot have the size of {first.label}: {refused}"
        ) from None


def _as_it_is(
    method: MethodChoice, budget: int, first: MethodChoice, experiment: RunDescription
) -> MethodChoice:
    """Return a method with a fixed size if the size matches the budget."""
    from qtha_lab.adapters import get_method

    size = _count(experiment, method)
    if NEAR * budget <= size <= budget:
        return method
    stated = " and ".join(get_method(method.name).size_settings)
    why = f"the first states {stated}" if stated else "the first has no setting for its size"
    raise Refusal(
        "Methods must train equal numbers of parameters with matching=equal_parameters, got "
        f"{size:,} for {method.label} and {budget:,} for {first.label}, where {why}."
    )


def _nearest(method: MethodChoice, name: str, budget: int, experiment: RunDescription) -> int:
    """Find the value of a setting with the most trained parameters within a budget.

    Returns the smallest value if several train equally many.
    """
    from qtha_lab.adapters import get_method

    declared = get_method(method.name).settings()[name]
    low, high, usual = int(declared.ge or 1), int(declared.le or MOST), int(declared.default)

    def size(value: int) -> int | None:
        try:
            return _count(experiment, method.replace(options=method.options | {name: value}))
        except Refusal as reason:  # for example, an r with fewer qubits than the circuit needs
            log.debug("%s of %s is not %d: %s", name, method.label, value, reason)
            return None

    low = next((value for value in range(low, min(high, usual) + 1) if size(value)), usual)
    grows = (size(min(2 * usual, high)) or math.inf) >= (size(usual) or 0)

    def fits(value: int) -> bool:
        sized = size(value)
        return sized is not None and sized <= budget

    value = _last(fits, low, high) if grows else _first(fits, low, high)
    if value is None:
        least = min(filter(None, map(size, (low, usual, high))))
        raise Refusal(
            f"The number of trained parameters must be at least {least:,}, got {budget:,}."
        )
    most = size(value)
    return _first(lambda other: size(other) == most, low, value) or value if grows else value


def _last(holds: Callable[[int], bool], low: int, high: int) -> int | None:
    """Find the last whole number of a range that satisfies a predicate.

    The predicate must be true up to some number and false above.
    """
    if not holds(low):
        return None
    step = 1
    while low + step <= high and holds(low + step):
        low, step = low + step, 2 * step
    while step > 1:
        step //= 2
        if low + step <= high and holds(low + step):
            low += step
    return low


def _first(holds: Callable[[int], bool], low: int, high: int) -> int | None:
    """Find the first whole number of a range that satisfies a predicate.

    The predicate must be false up to some number and true above.
    """
    last = _last(lambda value: not holds(value), low, high)
    if last is None:
        return low
    return last + 1 if last < high else None


@dataclass(frozen=True)
class Contender:
    """Method of a comparison for one (model, task) pair.

    Attributes:
        model_task: Pair of model and task.
        declared: Label in the description.
        choice: Method after matching, before scaling.
        training: Training settings.
        scaling: Matching that determines the method's alpha.
        point: Tuned settings by axis.
        trials: Evaluation losses of the tuning trials in order; None for a diverged or failed
            trial.
        tried: Evaluation losses by trial seed of every finished trial, by its point as text.
    """

    model_task: ModelTask
    declared: str
    choice: MethodChoice
    training: Training
    scaling: Scaling = "2r"
    point: Point = field(default_factory=dict)
    trials: tuple[float | None, ...] = ()
    tried: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def method(self) -> MethodChoice:
        """Method with the scale of the rule, before tuning."""
        return scaled(self.choice, self.scaling)

    def replace(self, **changes: Any) -> Contender:
        """Return a copy with other values."""
        return dataclasses.replace(self, **changes)
