"""Alternating measurements, and ratios within a round with their intervals."""

import math
import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.reporting import Show, unseen

CLOCKS = {
    "wall": time.perf_counter,
    "cpu": time.process_time,
    "children": lambda: sum(os.times()[2:4]),  # of processes that have ended; 0 on Windows
}


def take_turns(
    works: Sequence[Callable[[], object]],
    rounds: int,
    show: Show = unseen,
    clock: str = "wall",
) -> list[list[float]]:
    """Return the seconds of each work in every round; a first round is not counted.

    Each round begins one work later, and every second round is reversed. So no work follows
    itself, with warm caches.

    Args:
        works: Functions to time.
        rounds: Number of counted rounds.
        show: Called with the number of finished rounds and of all.
        clock: "wall", "cpu" for the processor time of all threads, or "children" for that of
            child processes.
    """
    now = CLOCKS[clock]
    seconds: list[list[float]] = [[] for _ in works]
    for done in range(rounds + 1):
        order = [(done + number) % len(works) for number in range(len(works))]
        for number in order if done % 2 else reversed(order):
            start = now()
            works[number]()
            seconds[number].append(now() - start)
        show(done, rounds)
    return [of_work[1:] for of_work in seconds]


def timed(seconds: list[float], reference: list[float]) -> dict[str, Any]:
    """Return the median time, and the median ratio within a round with its 95 % interval."""
    ratios = [a / b for a, b in zip(seconds, reference, strict=True)]
    return {
        "seconds": statistics.median(seconds),
        "seconds_all": seconds,
        "time_ratio": statistics.median(ratios),
        "time_ratio_interval": list(interval(ratios)),
    }


def ratio(entry: dict[str, Any]) -> str:
    """Return the ratio of `timed` as text."""
    return f"{entry['time_ratio']:.2f}{brackets(*entry['time_ratio_interval'], '.2f')}"


def interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Return the 95 % interval of the median by ranks; None where there are too few values.

    Example:
        >>> interval([3.0, 1.0, 2.0, 5.0, 4.0, 6.0]), interval([1.0, 2.0])
        ((1.0, 6.0), (None, None))
    """
    from scipy.stats import quantile_test

    low, high = quantile_test(values, p=0.5).confidence_interval(0.95)
    return None if math.isnan(low) else float(low), None if math.isnan(high) else float(high)


def brackets(low: float | None, high: float | None, digits: str) -> str:
    """Return an interval in brackets; nothing if it is unknown or a point."""
    return f" [{low:{digits}}, {high:{digits}}]" if None not in (low, high) and low != high else ""
