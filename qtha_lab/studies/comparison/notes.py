"""Sentences on the results and limits of a comparison, computed from plain numbers."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qtha_lab.experiment.description import ModelTask
from qtha_lab.models.quantisation.formats import STORED
from qtha_lab.runs.table.frame import results_frame
from qtha_lab.studies.comparison import tuning
from qtha_lab.studies.comparison.outcomes import outcomes, outlying_sentences

if TYPE_CHECKING:
    import pandas

SIDE_BY_SIDE = "∥"  # marks seconds measured while other runs trained


def notes(
    runs: pandas.DataFrame,
    expected: int,
    verdicts: Sequence[str] = (),
    protocol: Mapping[ModelTask, Sequence[str]] | None = None,
) -> list[str]:
    """Return sentences on the results and limits of the runs of a comparison.

    The sentences of its protocol are those of `protocol`; None describes the learning rates only.

    Example:
        >>> run = {"label": "lora", "method": "lora", "seed": 0, "state": "finished",
        ...        "trainable_parameters": 7680, "learning_rate": 0.01}
        >>> notes([run], expected=2)[0]
        '1 of 2 runs have not ended yet.'
    """
    table = results_frame(runs)
    by_pair = {
        pair: [
            *_stated(NOTES, of),
            *(tuning_of(of) if protocol is None else protocol.get(pair, [])),
        ]
        for pair, of in table.groupby("model_task", sort=False)
    }
    sentences = [*missing(table, expected), *over_model_tasks(by_pair), seeds(table), *verdicts]
    return [sentence for sentence in sentences if sentence]


def in_words(runs: pandas.DataFrame) -> list[str]:
    """Return the sentences on the runs of one (model, task) pair that `explain` states."""
    return _stated((sizes, outlying_sentences), runs) + tuning_of(runs)


def _finished(runs: pandas.DataFrame) -> pandas.DataFrame:
    table = results_frame(runs)
    return table[table["state"].eq("finished")]


def _stated(notes: Iterable[Note], runs: pandas.DataFrame) -> list[str]:
    finished = _finished(runs)
    stated = [note(finished) for note in notes]
    lists = [[found] if isinstance(found, str) else found or [] for found in stated]
    return [sentence for sentences in lists for sentence in sentences]


def tuning_of(runs: pandas.DataFrame, rates_from: str = "") -> list[str]:
    """Describe the selection of learning rates, or state that there was none."""
    if sentence := tuning.rates_sentence(runs):
        return [sentence]
    rates = _finished(runs).set_index("label")["learning_rate"].to_dict()
    if not rates:
        return []
    beside = [f"{label} {rate:g}" for label, rate in rates.items() if "learning_rate=" not in label]
    peaks = f"Peak learning rates: {', '.join(beside) or 'as in the names'}."
    if rates_from:
        return [f"Not tuned here: learning rates were chosen in {rates_from}. {peaks}"]
    reversal = "" if len(rates) < 2 else "; another learning rate may reverse the order"
    return [f"Not tuned: no setting was chosen among several{reversal}. {peaks}"]


def over_model_tasks(sentences: Mapping[ModelTask, Sequence[str]]) -> list[str]:
    """Merge sentences over (model, task) pairs; prefix those not common to all.

    Example:
        >>> qa, chat = ModelTask("tiny", "qa"), ModelTask("tiny", "chat")
        >>> over_model_tasks({qa: ["The same start.", "lora wins."], chat: ["The same start."]})
        ['The same start.', 'tiny, qa: lora wins.']
    """
    everywhere = [
        sentence
        for sentence in next(iter(sentences.values()), ())
        if all(sentence in others for others in sentences.values())
    ]
    apart = [
        f"{model_task}: {sentence}"
        for model_task, of in sentences.items()
        for sentence in of
        if sentence not in everywhere
    ]
    return [*everywhere, *apart]


def same_start(runs: pandas.DataFrame) -> str | None:
    """Compare the initial evaluation losses of all methods per seed; None without a pair."""
    starts = runs["eval_loss_start"].dropna().astype(float).groupby(runs["seed"])
    compared = starts.agg(["count", "min", "max"])
    compared = compared[compared["count"] > 1]
    if not len(compared):
        return None
    gap = float((compared["max"] - compared["min"]).max())
    if gap == 0:
        return "All methods of a seed started from the same evaluation loss (exactly)."
    if gap <= 1e-5 * compared["max"].max():
        return (
            "All methods of a seed started from the same evaluation loss "
            f"(largest difference {gap:.1e}: rounding)."
        )
    return (
        f"The methods did not start from the same evaluation loss: they differ by up to {gap:.4g}."
    )


def quantization(runs: pandas.DataFrame) -> str | None:
    """State the loss increase by base quantisation, and each method's recovery."""
    known = runs.dropna(subset=["eval_loss_whole_base", "eval_loss_start"])
    if not len(known):
        return None
    costs = known["eval_loss_start"] - known["eval_loss_whole_base"]
    gains = (known["eval_loss_start"] - known["eval_loss"]).groupby(known["label"], sort=False)
    gains = ", ".join(f"{label} {statistics.fmean(of):.3f}" for label, of in gains)
    name = runs["quantization"].iloc[0]
    stored = "" if name in STORED else " It is fake-quantised: no memory is saved."
    return (
        f"Quantising the base to {name} raised the evaluation loss by {statistics.fmean(costs):.3f}"
        f" before any training; the adapters lowered it by: {gains}.{stored}"
    )


def splits(runs: pandas.DataFrame) -> list[str]:
    """State the split key of user rows, and labels missing from a split."""
    keys, lacks = (filter(None, runs[name].unique()) for name in ("split_key", "missing_labels"))
    sentences = [f"Rows are split by {key}: no {key} stands on two sides." for key in keys]
    if lacks := [*lacks]:
        sentences.append(
            f"Labels or answers are missing on a side: {' / '.join(lacks)}. Add rows with them: a"
            " label that was not trained on cannot be learnt, and one that is not tested says"
            " nothing."
        )
    return sentences


def sizes(runs: pandas.DataFrame) -> list[str]:
    """Compare each method's parameter count to that of the largest LoRA."""
    first = runs.drop_duplicates("family").set_index("family")
    counts, methods = first["trainable_parameters"].to_dict(), first["method"].to_dict()
    loras = [label for label, method in methods.items() if method == "lora"]
    if not loras:
        return []
    reference = max(loras, key=counts.__getitem__)
    return [
        f"{label} trains {counts[label]:,} parameters, {_against(counts[label], counts[reference])}"
        f" {reference} ({counts[reference]:,})."
        for label in counts
        if label != reference
    ]


def scales(runs: pandas.DataFrame) -> str | None:
    """Compare the scales s of all methods; None for fewer than two."""
    by_label = runs.set_index("family")["scale"].dropna().to_dict()
    if len(by_label) < 2:
        return None
    if len(set(by_label.values())) == 1:
        return (
            "All methods with a scale have the same: s = alpha / r ="
            f" {next(iter(by_label.values())):g}."
        )
    text = ", ".join(f"{label} {scale:.3g}" for label, scale in by_label.items())
    return f"Scales s = alpha / r differ, and so do the steps at one rate: {text}."


def threads(runs: pandas.DataFrame) -> str | None:
    """State different thread counts of step times; None if they are equal."""
    counts = {label: known - {None} for label, known in _by_family(runs, "threads").items()}
    if len(set().union(*counts.values())) < 2:
        return None
    text = "; ".join(f"{label} {', '.join(map(str, sorted(n)))}" for label, n in counts.items())
    return (
        f"Seconds per step were taken with different numbers of CPU threads ({text}): "
        "set `threads` to compare speed."
    )


def side_by_side(runs: pandas.DataFrame) -> str | None:
    """Name methods whose step times were measured during other runs; None without any."""
    known = _by_family(runs, "side_by_side")
    marked = [label for label, values in known.items() if True in values]
    if not marked:
        return None
    unknown = [label for label, values in known.items() if None in values]
    rest = f" Of {', '.join(unknown)} it is not known of every run." if unknown else ""
    return (
        f"Seconds per step marked {SIDE_BY_SIDE} were taken while other runs trained on the machine"
        f" ({', '.join(marked)}): train one run at a time (`QTHA_LAB_SLOTS=1`) to compare"
        f" speed.{rest}"
    )


def _by_family(runs: pandas.DataFrame, name: str) -> dict[str, set[Any]]:
    """Return the values of a field by method, None for a missing one."""
    return {str(label): {*of} for label, of in runs.groupby("family", sort=False)[name]}


def seeds(runs: pandas.DataFrame) -> str | None:
    """State the statistical weight of the number of seeds with a finished run."""
    count = _finished(runs)["seed"].nunique()
    if not count:
        return None
    if count == 1:
        return (
            "One seed: a difference between methods may be chance. Take three or more to compare."
        )
    return (
        f"{count} seeds: a dash in brackets joins the smallest and the largest value over the"
        " seeds, which is no confidence interval."
    )


def missing(runs: pandas.DataFrame, expected: int) -> list[str]:
    """Name the runs without a result, and count the runs to come."""
    runs = results_frame(runs)
    waiting = expected - len(runs)
    to_come = [f"{waiting} of {expected} runs have not ended yet."] if waiting else []
    return [*outcomes(runs), *to_come]


def _against(count: int, reference: int) -> str:
    share = count / reference - 1
    if count == reference:
        return "as many as"
    return f"{abs(share):.0%} {'more' if share > 0 else 'fewer'} than"


Note = Callable[[Any], list[str] | str | None]
NOTES: tuple[Note, ...] = (
    same_start,
    quantization,
    sizes,
    scales,
    threads,
    side_by_side,
    splits,
    outlying_sentences,
)
"""Sentences on the finished runs of one (model, task) pair, in order."""
