"""Labels of quantities on axes and in tables, with units, also for LaTeX.

Measurements of a run come from `qtha_lab.core.metrics`. A name that is not listed is shown
unchanged.

plotly's own ticks draw the powers larger than other ticks and write bare digits between them.
"""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from qtha_lab.core.metrics import MEASURES


class Label(NamedTuple):
    """Words of a quantity, its unit and its symbol in LaTeX mathematics."""

    words: str
    unit: str = ""
    symbol: str = ""


LABELS = {
    "step": Label("step"),
    "seed": Label("seed"),
    "method": Label("method"),
    "layer": Label("layer"),
    "seeds": Label("seeds"),
    "seconds": Label("time in steps", "s"),
    "tokens": Label("tokens seen"),
    "trials": Label("trials"),
    "bytes_sent": Label("bytes sent"),
    "learning_rate": Label("learning rate", "", r"\eta"),
    "grad_norm": Label("gradient norm"),
    "memory": Label("memory", "MiB"),
    "loss": Label("loss", "nats", r"\mathcal{L}"),
    "n_qubits": Label("qubits", "", "n"),
    "n_layers": Label("circuit layers", "", "L"),
    "n_nodes": Label("nodes of a graph", "", "n"),
    "n_cnots": Label("CNOTs of a circuit"),
    "bits": Label("bits of a weight"),
    "batch": Label("samples in a batch", "", "B"),
    "microseconds_per_sample": Label("time per sample", "µs"),
    "gradient_variance": Label("variance of the gradient", "", r"\mathrm{Var}[\partial_k C]"),
    "expressibility": Label("KL from Haar", "nats", r"D_\mathrm{KL}"),
    "singular_value": Label("singular value σ", "", r"\sigma_i"),
    "index": Label("index i", "", "i"),
    "bond": Label("bond"),
    "bond_dim": Label("bond dimension", "", r"\chi"),
    "max_bond": Label("largest useful bond dimension"),
    "entropy_bits": Label("entanglement entropy", "bits", "S"),
    "value": Label("value", "rad", r"\theta"),
    "gradient": Label("gradient", "1/rad", r"\partial_\theta"),
}


def label_of(name: str) -> Label:
    """Return the label of a quantity by its name; a method's label is its name."""
    if measure := MEASURES.get(name):
        return Label(measure.words, measure.unit, measure.symbol)
    return LABELS.get(name) or Label(name if "(" in name else name.replace("_", " "))


def axis(name: str) -> str:
    """Return an axis title with its unit.

    Example:
        >>> axis("eval_loss"), axis("n_qubits"), axis("hub_score")
        ('evaluation loss (nats)', 'qubits', 'hub score')
    """
    words, unit, _ = label_of(name)
    return f"{words} ({unit})" if unit else words


def capital(text: str) -> str:
    """Return a text with a capital letter, as at the start of a sentence."""
    return text[:1].upper() + text[1:]


def words_of(name: str) -> str:
    """Return the words of a quantity with a capital letter.

    Example:
        >>> words_of("eval_loss")
        'Evaluation loss'
    """
    return capital(label_of(name).words)


def latex(name: str) -> str:
    r"""Return an axis title for LaTeX, with the symbol in front of the unit.

    Example:
        >>> print(latex("eval_loss"))
        evaluation loss $\mathcal{L}_\mathrm{eval}$ (nats)
    """
    words, unit, symbol = label_of(name)
    parts = [escape(words), f"${symbol}$" if symbol else "", f"({escape(unit)})" if unit else ""]
    return " ".join(part for part in parts if part)


SPECIAL = {c: "\\" + c for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "–": "--", "×": r"$\times$", "±": r"$\pm$", "≥": r"$\geq$", "≤": r"$\leq$", "→": r"$\to$",
    "⟨": r"$\langle$", "⟩": r"$\rangle$", "·": r"$\cdot$", "π": r"$\pi$", "σ": r"$\sigma$",
    "Δ": r"$\Delta$", "ϕ": r"$\phi$", "θ": r"$\theta$", "χ": r"$\chi$", "µ": r"$\mu$",
    "…": r"\dots{}",
    "−": "$-$", "²": r"$^2$", "∂": r"$\partial$",
}  # fmt: skip


def escape(text: str) -> str:
    r"""Escape text for LaTeX; symbols become mathematics, for every engine.

    Example:
        >>> print(escape("qtha(init=balanced_2) 5 % ± 1"))
        qtha(init=balanced\_2) 5 \% $\pm$ 1
    """
    return "".join(SPECIAL.get(character, character) for character in text)


# digits of ticks, and their least number; two ticks do not show that an axis is logarithmic
SHORT = (((1.0, 2.0, 5.0), 4), ((1.0, 1.5, 2.0, 3.0, 5.0, 7.0), 4))
MOST_RATES = 6
LONG = (((1.0,), 3), ((1.0, 3.0), 4), ((1.0, 2.0, 5.0), 4))


def power_of_ten(value: float) -> str:
    """Format a power of ten as a tick; other numbers have two digits.

    Example:
        >>> power_of_ten(0.001), power_of_ten(0.2), power_of_ten(1)
        ('10⁻³', '0.2', '1')
    """
    exponent = round(math.log10(value))
    if 0 <= exponent <= 1 or not math.isclose(value, 10.0**exponent):
        return f"{value:.2g}"
    return f"10{str(exponent).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def thousands(value: float) -> str:
    """Format a count as a tick.

    Example:
        >>> thousands(500), thousands(20_000), thousands(7e9)
        ('500', '20k', '7G')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def between(low: float, high: float) -> list[float]:
    """Return round tick values from low to high.

    These are three powers of ten, or at least four other values where the range allows.

    Example:
        >>> between(0.9, 60), between(1e-7, 1.0), between(5500, 33_000)
        ([1.0, 2.0, 5.0, 10.0, 20.0, 50.0], [1e-07, 1e-05, 0.001, 0.1], [7000.0, 10000.0, 15000.0,
        20000.0, 30000.0])
        >>> between(0.012, 1.6)
        [0.03, 0.1, 0.3, 1.0]
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    values: list[float] = []
    for digits, least in SHORT if math.log10(high / low) < 1.9 else LONG:
        step = math.ceil((last - first) / 6) if digits == (1.0,) else 1
        every = [float(f"{d}e{e}") for e in range(first, last + 1, step) for d in digits]
        values = [value for value in every if low * 0.999 <= value <= high * 1.001]
        if len(values) >= least:
            return values
    return values if len(values) > 2 else linear(low, high, 4)


def log_axis(values: Iterable[float], text: Callable[[float], str] = power_of_ten) -> dict:
    """Return the range and ticks of a logarithmic axis for values; zeros are omitted."""
    positive = np.array([v for v in values if v is not None and v > 0])
    if not len(positive):
        return {"type": "log"}
    edge = 0.06 * max(math.log10(positive.max() / positive.min()), 0.3)
    low, high = math.log10(positive.min()) - edge, math.log10(positive.max()) + edge
    ticks = between(10**low, 10**high)
    return {"type": "log", "range": [low, high], "tickvals": ticks, "ticktext": _texts(ticks, text)}


def axis_of_rates(rates: Iterable[float]) -> dict:
    """Return a logarithmic axis, with ticks at the learning rates where they are few."""
    rates = list(rates)
    axis, different = log_axis(rates), sorted(set(rates))
    if len(different) > MOST_RATES:
        return axis
    return axis | {"tickvals": different, "ticktext": [f"{rate:.3g}" for rate in different]}


def log_colors(low: float, high: float) -> dict:
    """Return the ticks of a colour bar whose colours are logarithms (base 10)."""
    ticks = between(low, high)
    return {"tickvals": [math.log10(t) for t in ticks], "ticktext": _texts(ticks, power_of_ten)}


def _texts(ticks: list[float], text: Callable[[float], str]) -> list[str]:
    """Format ticks in one notation: powers of ten where all are, else numbers."""
    powers = all(math.isclose(tick, 10.0 ** round(math.log10(tick))) for tick in ticks)
    if text is power_of_ten and not powers and min(ticks, default=1) >= 0.001:
        return [f"{tick:.2g}" if tick < 1000 else thousands(tick) for tick in ticks]
    return [*map(text, ticks)]


def linear(low: float, high: float, most: int = 6) -> list[float]:
    """Return ticks from low to high at steps of 1, 2 or 5 · 10ᵏ.

    Args:
        low: Least value of the axis.
        high: Largest value of the axis.
        most: Approximate maximum number of ticks.

    Example:
        >>> linear(0, 60), linear(3.9, 4.4)
        ([0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0], [3.9, 4.0, 4.1, 4.2, 4.3, 4.4])
    """
    rough = (high - low) / most or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{n * step:.10g}") for n in range(first, last + 1)]
