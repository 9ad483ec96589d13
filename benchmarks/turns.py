"""Methods on one model, measured in turns.

One copy of the frozen base, and ratios within a round.
"""

import copy
import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from scipy.stats import quantile_test

from benchmarks.reporting import pipes
from qtha_lab.experiment import MethodChoice


def adapted_models(model: str, choices: Iterable[MethodChoice]) -> list[Any]:
    """One model for each method, all on the same base weights."""
    import torch

    from qtha_lab.adapters import add_adapter, get_method
    from qtha_lab.models import default_target_modules, load_model

    torch.manual_seed(0)
    base = load_model(model).model
    shared = {id(tensor): tensor for tensor in [*base.parameters(), *base.buffers()]}
    models = []
    for choice in choices:
        targets = choice.target_modules or default_target_modules(model)
        config = get_method(choice.name).make_config(
            task_type="CAUSAL_LM", target_modules=targets, **choice.options
        )
        models.append(add_adapter(copy.deepcopy(base, dict(shared)), config))
    return models


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def take_turns(
    works: Sequence[Callable[[], object]],
    rounds: int,
    on_round: Callable[[int, int], None],
    clock: str = "wall",
) -> list[list[float]]:
    """Seconds of each work in every counted round; one round goes before, each begins one later,
    every second one backwards.

    So none follows itself, in whose memory and caches it would be at home.

    Args:
        works: What takes turns.
        rounds: Counted ones.
        on_round: Called with the turns done and their number.
        clock: "wall", or "cpu" for the processor's seconds of all threads, which a busy machine
            lengthens little.
    """
    now = CLOCKS[clock]
    seconds: list[list[float]] = [[] for _ in works]
    for done in range(rounds + 1):
        order = [(done + number) % len(works) for number in range(len(works))]
        for number in order if done % 2 else reversed(order):
            start = now()
            works[number]()
            seconds[number].append(now() - start)
        on_round(done, rounds)
    return [of_work[1:] for of_work in seconds]


def timed(seconds: list[float], reference: list[float]) -> dict[str, Any]:
    """Median, all, the median of the ratios within a round, and the interval that has it in 95 of
    100 (by ranks).
    """
    ratios = [a / b for a, b in zip(seconds, reference, strict=True)]
    low, high = interval(ratios)
    return {
        "seconds": statistics.median(seconds),
        "seconds_all": seconds,
        "time_ratio": statistics.median(ratios),
        "time_ratio_interval": [low, high],
    }


def ratio(entry: dict[str, Any]) -> str:
    """A method's ratio in words, with its interval where rounds were enough for one."""
    low, high = entry["time_ratio_interval"]
    return f"{entry['time_ratio']:.2f}{_brackets(low, high, '.2f')}"


def interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """What has the median of such values in 95 of 100, by ranks; None for an end that so few values
    do not give.

    Example:
        >>> interval([3.0, 1.0, 2.0, 5.0, 4.0, 6.0]), interval([1.0, 2.0])
        ((1.0, 6.0), (None, None))
    """
    low, high = quantile_test(values, p=0.5).confidence_interval(0.95)
    return None if math.isnan(low) else float(low), None if math.isnan(high) else float(high)


def between(values: Sequence[float], digits: str) -> str:
    """The interval of their median in brackets, "" where they are too few for one."""
    return _brackets(*interval(values), digits)


def _brackets(low: float | None, high: float | None, digits: str) -> str:
    return f" [{low:{digits}}, {high:{digits}}]" if None not in (low, high) and low != high else ""


def markdown(figures: dict[str, Any]) -> str:
    """Times of methods that took turns, and what they were measured under, for a page."""
    options = ", ".join(f"{name} {value}" for name, value in figures["settings"].items())
    threads = figures["machine"]["torch_threads"]
    rows = [
        (
            f"`{entry['label']}`",
            f"{1000 * entry['seconds']:,.0f}",
            ratio(entry),
            f"{memory:.2f}" if (memory := entry.get("memory_ratio")) else "–",
        )
        for entry in figures["methods"]
    ]
    heading = (
        "method", f"ms per {figures['unit']}", "time, × the first", "peak memory, × the first",
    )  # fmt: skip
    caption = f"{options}; {threads} threads"
    return f"{caption}\n\n{pipes([heading, *rows])}\n"


def measured(
    before: dict[str, Any], name: str, unit: str, settings: dict[str, Any], methods: list
) -> dict[str, Any]:
    """The figures of a benchmark with what was taken down before.

    Args:
        before: The `machine.conditions`.
        name: Of the benchmark.
        unit: What took the seconds.
        settings: Of the benchmark.
        methods: An entry for each, as `timed` makes it.
    """
    return {
        "benchmark": name,
        "unit": unit,
        **before,
        "settings": settings,
        "methods": methods,
    }
