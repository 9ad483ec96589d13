"""Axes of parallel coordinates: heights and ticks of values, and ranges that select runs."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from qtha_lab.figures.machinery import labels
from qtha_lab.figures.run_scatter import RunPoint

FAR = 12  # a positive axis with at least this ratio of its ends is logarithmic


class Scale(NamedTuple):
    """Vertical axis: the height of each value, 0 to 1, and the labelled ticks."""

    name: str
    heights: dict[Any, float]
    ticks: list[tuple[float, str]]
    log: bool = False
    low: float = 0.0
    high: float = 1.0

    def value(self, height: float) -> float:
        """Return the number at a height, or the list index on an axis of texts."""
        number = self.low + height * (self.high - self.low)
        return 10**number if self.log else number


def scale(name: str, values: Sequence[Any]) -> Scale:
    """Return the axis of a setting: texts evenly spaced, numbers linear or logarithmic.

    Positive numbers whose largest is at least 12 times the smallest are logarithmic.

    Example:
        >>> scale("r", [2, 4, 8]).heights, scale("schedule", ["linear", "cosine"]).heights
        ({2.0: 0.0, 4.0: 0.3333333333333333, 8.0: 1.0}, {'cosine': 0.0, 'linear': 1.0})
    """
    present = list(dict.fromkeys(value for value in values if value is not None))
    numbers = [v for v in present if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) < len(present) or not numbers:
        words = sorted(present, key=str)
        last = max(1, len(words) - 1)
        heights = {word: place / last for place, word in enumerate(words)}
        return Scale(
            name, heights, [(height, str(word)) for word, height in heights.items()], high=last
        )
    return _number_scale(name, list(map(float, numbers)))


def _number_scale(name: str, numbers: list[float]) -> Scale:
    log = min(numbers) > 0 and max(numbers) >= FAR * min(numbers)
    low, high = (math.log10(f(numbers)) if log else float(f(numbers)) for f in (min, max))
    span = high - low or 1.0
    heights = {v: ((math.log10(v) if log else v) - low) / span for v in numbers}
    few = sorted(numbers) if len(numbers) <= 5 else None
    named = few or (labels.between(10**low, 10**high) if log else labels.linear(low, high, 5))
    at = [(((math.log10(v) if log else v) - low) / span, _tick(v)) for v in named]
    return Scale(name, heights, at, log, low, low + span)


def _tick(value: float) -> str:
    return labels.thousands(value) if abs(value) >= 1000 else f"{value:.4g}"


def inside(
    run: RunPoint, scales: Mapping[str, Scale], boxes: Mapping[str, Sequence[tuple[float, float]]]
) -> bool:
    """Return True if a run passes a box on every axis that has boxes.

    Args:
        run: Run to test.
        scales: Axes by setting name.
        boxes: Ranges of height, 0 to 1, by axis name.

    Example:
        >>> run = {"id": "a", "label": "lora", "values": {"r": 2}}
        >>> axis = {"r": scale("r", [2, 4])}
        >>> inside(run, axis, {"r": [(-0.1, 0.5)]}), inside(run, axis, {"r": [(0.5, 1.1)]})
        (True, False)
    """
    for name, ranges in boxes.items():
        height = scales[name].heights.get(run["values"].get(name))
        if height is None or not any(low <= height <= high for low, high in ranges):
            return False
    return True
