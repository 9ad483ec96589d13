"""Declarations of all run measurements: name, unit, format and direction.

Tables, axes, commands and summaries read them here. Computes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["train", "eval", "test", "general", "generation", "whole_base", "problem", "run"]


@dataclass(frozen=True)
class Measure:
    """Declaration of one number measured of a run.

    Attributes:
        name: Key in `summary.json`, in table entries and in figures.
        words: Name on an axis.
        kind: Kind of event that records it; "run" for values of the whole run, "problem" for
            values that only the small problem of a reproduction has.
        unit: Unit; "" for a plain number.
        symbol: Symbol in LaTeX mathematics.
        column: Heading in the comparison table; "" omits it there.
        form: Format of one value in the table.
        better: Better direction, "lower" or "higher".
        learnt: Training changes it, so the table shows its spread over seeds.
        brief: Shown in the output of a single run.
        source: Recorded measurement of which it is a unit conversion.
        divisor: Units of the source per unit of this.

    Example:
        >>> MEASURES["eval_loss"].words, MEASURES["eval_loss"].unit, MEASURES["eval_loss"].better
        ('evaluation loss', 'nats', 'lower')
    """

    name: str
    words: str
    kind: Kind
    unit: str = ""
    symbol: str = ""
    column: str = ""
    form: str = "{:.3f}"
    better: Literal["lower", "higher"] = "lower"
    learnt: bool = False
    brief: bool = True
    source: str = ""
    divisor: float = 1.0


_ALL = [
    Measure("trainable_parameters", "trainable parameters", "run", symbol="P", column="parameters",
            form="{:,}"),
    Measure("eval_loss_whole_base", "evaluation loss of the whole base", "whole_base", "nats",
            column="eval loss, whole base", learnt=True, brief=False),
    Measure("eval_loss_start", "evaluation loss at the start", "eval", "nats",
            column="eval loss, start", learnt=True),
    Measure("eval_loss", "evaluation loss", "eval", "nats", r"\mathcal{L}_\mathrm{eval}",
            column="eval loss", learnt=True),
    Measure("eval_loss_best", "lowest evaluation loss", "run", "nats", learnt=True, brief=False),
    Measure("best_step", "step of the saved adapter", "run", column="best step", form="{:.0f}",
            learnt=True, brief=False),
    Measure("test_loss", "test loss", "test", "nats", r"\mathcal{L}_\mathrm{test}",
            column="test loss", learnt=True),
    Measure("generalisation_gap", "test loss above the loss on training rows", "test", "nats",
            column="gap", learnt=True),
    Measure("forgetting", "rise of the loss on general prose", "general", "nats",
            column="forgetting", learnt=True),
    Measure("train_loss", "train loss", "train", "nats", r"\mathcal{L}_\mathrm{train}",
            column="train loss", learnt=True),
    Measure("scale", "scale of the change", "run", symbol="s", column="scale", form="{:.3g}",
            brief=False),
    Measure("perplexity", "perplexity", "eval", column="perplexity", form="{:.1f}"),
    Measure("token_accuracy", "token accuracy", "eval", column="token accuracy", better="higher"),
    Measure("accuracy", "accuracy", "eval", column="accuracy", better="higher"),
    Measure("test_accuracy", "test accuracy", "test", column="test accuracy", better="higher"),
    Measure("correlation", "correlation with the numbers", "eval", column="correlation",
            better="higher"),
    Measure("absolute_error", "mean absolute error", "eval", column="absolute error"),
    Measure("margin", "margin of chosen answers", "eval", "nats", column="margin", better="higher"),
    Measure("pair_accuracy", "share of pairs with a positive margin", "eval",
            column="pair accuracy", better="higher"),
    Measure("macro_f1", "macro F1", "eval", column="macro F1", better="higher", brief=False),
    Measure("exact_match", "exact match", "generation", column="exact match", better="higher"),
    Measure("bleu4", "BLEU-4", "generation", column="BLEU-4", form="{:.2f}", better="higher"),
    Measure("rouge1", "ROUGE-1", "generation", better="higher", brief=False),
    Measure("rouge2", "ROUGE-2", "generation", better="higher", brief=False),
    Measure("rougeL", "ROUGE-L", "generation", column="ROUGE-L", better="higher"),
    Measure("rmse", "root mean squared error", "problem", column="RMSE", learnt=True),
    Measure("energy_error", "relative error of the energy", "problem", column="energy error",
            form="{:.2e}", learnt=True),
    Measure("cut_ratio", "share of the largest cut", "problem", column="cut ratio", better="higher",
            learnt=True),
    Measure("fidelity", "fidelity", "problem", symbol="F", column="fidelity", better="higher",
            learnt=True),
    Measure("reward", "reward of an episode", "problem", column="reward", form="{:.1f}",
            better="higher", learnt=True),
    Measure("steps_to_target", "steps to the target", "problem", column="steps to target",
            form="{:.0f}", learnt=True),
    Measure("bytes_sent", "bytes sent", "problem", "bytes", column="bytes sent", form="{:,.0f}"),
    Measure("seconds_per_step", "time per step", "run", "s", column="s per step", form="{:.3g}"),
    Measure("peak_memory_bytes", "peak memory", "run", "bytes", brief=False),
    Measure("peak_memory_mib", "peak memory", "run", "MiB", column="peak MiB", form="{:.0f}",
            brief=False, source="peak_memory_bytes", divisor=2**20),
    Measure("adapter_bytes", "adapter size", "run", "bytes", brief=False),
    Measure("adapter_kib", "adapter size", "run", "KiB", column="adapter KiB", form="{:.0f}",
            brief=False, source="adapter_bytes", divisor=2**10),
    Measure("wall_seconds", "wall time", "run", "s", brief=False),
]  # fmt: skip
MEASURES = {measure.name: measure for measure in _ALL}
"""Every measure by its name, in the order in which tables and commands show them."""


def recorded(kind: Kind | None = None) -> list[str]:
    """List the names of recorded numbers, of one kind of event or of all kinds.

    Example:
        >>> recorded("generation")
        ['exact_match', 'bleu4', 'rouge1', 'rouge2', 'rougeL']
    """
    return [m.name for m in MEASURES.values() if not m.source and kind in (None, m.kind)]


def written(measure: Measure, value: float) -> str:
    """Format one value for tables; a value that rounds to zero has no sign.

    Example:
        >>> written(MEASURES["eval_loss"], 4.4), written(MEASURES["forgetting"], -0.0001)
        ('4.400', '0.000')
    """
    text = measure.form.format(value)
    return text.removeprefix("-") if not text.strip("-0.") else text


def scores() -> list[str]:
    """List the scores of an evaluation besides its loss, by event name.

    Example:
        >>> scores()
        ['perplexity', 'token_accuracy', ..., 'pair_accuracy', 'macro_f1']
    """
    return [name for name in recorded("eval") if not MEASURES[name].learnt]
