"""Ticks of logarithmic axes: powers of ten, or 1, 2 and 5 times them where the span is short.

plotly's own make the powers larger than other ticks and write bare digits between them.
"""

import math
from collections.abc import Callable, Iterable

import numpy as np


def power_of_ten(value: float) -> str:
    """A power of ten as a tick, any other number with two digits.

    Example:
        >>> power_of_ten(0.001), power_of_ten(0.2), power_of_ten(1)
        ('10⁻³', '0.2', '1')
    """
    exponent = round(math.log10(value))
    if 0 <= exponent <= 1 or not math.isclose(value, 10.0**exponent):
        return f"{value:.2g}"
    return f"10{str(exponent).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def thousands(value: float) -> str:
    """A count as a tick.

    Example:
        >>> thousands(500), thousands(20_000), thousands(7e9)
        ('500', '20k', '7G')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def between(low: float, high: float) -> list[float]:
    """Round values from low to high: at most about six.

    Example:
        >>> between(0.9, 60), between(1e-7, 1.0)
        ([1.0, 2.0, 5.0, 10.0, 20.0, 50.0], [1e-07, 1e-05, 0.001, 0.1])
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    short = math.log10(high / low) < 1.9
    digits, step = ((1, 2, 5), 1) if short else ((1,), math.ceil((last - first) / 6))
    values = [float(f"{d}e{e}") for e in range(first, last + 1, step) for d in digits]
    return [value for value in values if low * 0.999 <= value <= high * 1.001]


def log_axis(values: Iterable[float], text: Callable[[float], str] = power_of_ten) -> dict:
    """The range and ticks of a logarithmic axis that shows these values; zeros are left out."""
    positive = np.array([v for v in values if v is not None and v > 0])
    if not len(positive):
        return {"type": "log"}
    edge = 0.06 * max(math.log10(positive.max() / positive.min()), 0.3)
    low, high = math.log10(positive.min()) - edge, math.log10(positive.max()) + edge
    ticks = between(10**low, 10**high)
    return {"type": "log", "range": [low, high], "tickvals": ticks, "ticktext": [*map(text, ticks)]}


def log_colors(low: float, high: float) -> dict:
    """The ticks of a colour bar whose colours are logarithms (base 10)."""
    ticks = between(low, high)
    return {"tickvals": [math.log10(t) for t in ticks], "ticktext": [*map(power_of_ten, ticks)]}


def linear(low: float, high: float, most: int = 6) -> list[float]:
    """Round values from low to high, 1, 2 or 5 times a power of ten apart.

    Args:
        low: The least value of the axis.
        high: The largest.
        most: About how many ticks at most.

    Example:
        >>> linear(0, 60), linear(3.9, 4.4)
        ([0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0], [3.9, 4.0, 4.1, 4.2, 4.3, 4.4])
    """
    rough = (high - low) / most or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{n * step:.10g}") for n in range(first, last + 1)]
