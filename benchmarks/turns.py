"""Methods on one model, measured in turns: one copy of the frozen base, and ratios within a round."""

import copy
import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from scipy.stats import quantile_test

from benchmarks.machine import commit, machine
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
    """Seconds of each work in every counted round; one round goes before, each begins one later, every second one backwards.

    So none follows itself, in whose memory and caches it would be at home.

    Args:
        works: What takes turns.
        rounds: Counted ones.
        on_round: Called with the turns done and their number.
        clock: "wall", or "cpu" for the processor's seconds of all threads, which a busy machine lengthens little.
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
    """Median, all, the median of the ratios within a round, and the interval that has it in 95 of 100 (by ranks)."""
    ratios = [a / b for a, b in zip(seconds, reference, strict=True)]
    low, high = quantile_test(ratios, p=0.5).confidence_interval(0.95)
    return {
        "seconds": statistics.median(seconds),
        "seconds_all": seconds,
        "time_ratio": statistics.median(ratios),
        "time_ratio_interval": [None if math.isnan(end) else float(end) for end in (low, high)],
    }


def ratio(entry: dict[str, Any]) -> str:
    """A method's ratio in words, with its interval where rounds were enough for one."""
    ends = entry["time_ratio_interval"]
    between = f" [{ends[0]:.2f}, {ends[1]:.2f}]" if None not in ends and ends[0] != ends[1] else ""
    return f"{entry['time_ratio']:.2f}{between}"


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
    caption = f"{options}; {threads} threads, load {figures['load']} at the end"
    return f"{caption}\n\n{pipes([heading, *rows])}\n"


def measured(name: str, unit: str, settings: dict[str, Any], methods: list) -> dict[str, Any]:
    """The figures of a benchmark with the machine, its load and the commit.

    Args:
        name: Of the benchmark.
        unit: What took the seconds.
        settings: Of the benchmark.
        methods: An entry for each, as `timed` makes it.
    """
    import psutil

    return {
        "benchmark": name,
        "unit": unit,
        "machine": machine(),
        "commit": commit(),
        "load": round(psutil.getloadavg()[0], 1),
        "settings": settings,
        "methods": methods,
    }
