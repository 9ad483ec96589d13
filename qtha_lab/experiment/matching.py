"""What methods of a comparison have in common: equal r, equal parameters, equal seconds, or nothing beyond what is written.

A rule like that of `scaling`: it chooses what a method's options leave open, by the first method of the list. Seconds
are measured, so `compare.lineup` fits the steps to them.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.cache import Cache
from qtha_lab.experiment.method_choice import MethodChoice
from qtha_lab.experiment.plan import resolve

if TYPE_CHECKING:
    from qtha_lab.experiment.experiment import Experiment

Rule = Literal["as_given", "equal_r", "equal_parameters", "equal_seconds"]
NEAR = 0.98  # of the first method's parameters: what states its size may stay this near below
MOST = 4096  # of a setting that declares no limit
_SIZES: Cache[dict[str, Any]] = Cache("matched size", most=128)
log = logging.getLogger(__name__)


def matched(
    methods: Sequence[MethodChoice], rule: Rule, experiment: Experiment
) -> list[MethodChoice]:
    """Return the methods with the sizes that a rule and the model give them.

    Args:
        methods: In the order of the comparison.
        rule: Which; "as_given" and "equal_seconds" change no size.
        experiment: Of any method, on the model and the task that are matched on.

    Raises:
        Refusal: If a method has nothing by which it could be matched, or is larger than the first at its smallest.

    Example:
        >>> from qtha_lab.experiment import Comparison
        >>> [e.choice.label for e in Comparison(methods="lora(r=4),dora", matching="equal_r").contenders()]
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


def _with_numbers(method: MethodChoice, experiment: Experiment) -> MethodChoice:
    """Return a method with the size that is chosen for the model; as it is where the model is not at hand."""
    try:
        return resolve(experiment.replace(method=method)).method
    except Refusal as reason:  # `check` refuses it; a list of old runs is still read
        log.debug("the size of %s stays open: %s", method.label, reason)
        return method


def size_settings(method: MethodChoice, rule: Rule) -> tuple[str, ...]:
    """The settings of a method that a rule chooses."""
    from qtha_lab.adapters import get_method

    if rule == "equal_parameters":
        return get_method(method.name).size_settings
    return ("r",) if rule == "equal_r" else ()


def _count(experiment: Experiment, method: MethodChoice) -> int:
    return resolve(experiment.replace(method=method)).layout.trainable


def _r_of(method: MethodChoice) -> int:
    from qtha_lab.adapters import get_method

    entry = get_method(method.name)
    if "r" not in entry.settings():
        raise Refusal(
            f"matching: {method.label} has no r, so equal_r cannot hold: leave the method out, or match equal_parameters"
        )
    return entry.make_config(**method.options).r


def _at_r(method: MethodChoice, r: int, first: MethodChoice) -> MethodChoice:
    if _r_of(method) == r:
        return method
    if "r" in method.options:
        raise Refusal(
            f"matching: {method.label} states an r that is not the {r} of {first.label}: leave it out for equal_r"
        )
    return method.replace(options=method.options | {"r": r})


def _sized(
    method: MethodChoice, budget: int, first: MethodChoice, experiment: Experiment
) -> MethodChoice:
    """The method with the size that comes nearest to a budget from below."""
    from qtha_lab.adapters import get_method

    entry = get_method(method.name)
    free = [name for name in entry.size_settings if name not in method.options]
    if not free:
        return _as_it_is(method, budget, first, experiment)
    plan = resolve(experiment.replace(method=method))
    key = experiment.model, plan.n_labels, entry.config_class, method.meaning, budget

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
    method: MethodChoice, budget: int, first: MethodChoice, experiment: Experiment
) -> MethodChoice:
    """A method that leaves no size open, if it has the right one."""
    from qtha_lab.adapters import get_method

    size = _count(experiment, method)
    if NEAR * budget <= size <= budget:
        return method
    stated = " and ".join(get_method(method.name).size_settings)
    why = f"states {stated}: leave them open" if stated else "has no setting for its size"
    raise Refusal(
        f"matching: {method.label} trains {size:,} parameters, {first.label} {budget:,}, and it {why} "
        "for equal_parameters"
    )


def _nearest(method: MethodChoice, name: str, budget: int, experiment: Experiment) -> int:
    """The value of a setting at which a method trains most parameters under a budget, the least of equal ones."""
    from qtha_lab.adapters import get_method

    declared = get_method(method.name).settings()[name]
    low, high, usual = int(declared.ge or 1), int(declared.le or MOST), int(declared.default)

    def size(value: int) -> int | None:
        try:
            return _count(experiment, method.replace(options=method.options | {name: value}))
        except Refusal as reason:  # such as an r with fewer qubits than the circuit needs
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
            f"a budget of {budget:,} trained parameters cannot be met: the smallest possible is {least:,}"
        )
    most = size(value)
    return _first(lambda other: size(other) == most, low, value) or value if grows else value


def _last(holds: Callable[[int], bool], low: int, high: int) -> int | None:
    """The last whole number of a range at which something holds that holds up to some number, and no further."""
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
    """The first whole number of a range at which something holds that holds from some number on."""
    last = _last(lambda value: not holds(value), low, high)
    if last is None:
        return low
    return last + 1 if last < high else None
