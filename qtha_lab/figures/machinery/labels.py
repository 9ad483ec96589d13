"""Labels of quantities on axes and in tables, with units, also for LaTeX.

Measurements of a run come from `qtha_lab.core.metrics`. A name that is not listed is shown
unchanged.
"""

from typing import NamedTuple

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
