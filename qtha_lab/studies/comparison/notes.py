"""Sentences on the results and limits of a comparison, computed from plain numbers."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from qtha_lab.experiment.description import ModelTask, by_model_task
from qtha_lab.models.quantisation.formats import STORED
from qtha_lab.studies.comparison import tuning
from qtha_lab.studies.comparison.outcomes import outcomes, outlying_sentences

SIDE_BY_SIDE = "∥"  # marks seconds measured while other runs trained


def notes(
    entries: list[dict[str, Any]],
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
    by_pair = {
        pair: [
            *_stated(NOTES, of),
            *(tuning_of(of) if protocol is None else protocol.get(pair, [])),
        ]
        for pair, of in by_model_task(entries).items()
    }
    sentences = [*missing(entries, expected), *over_model_tasks(by_pair), seeds(entries), *verdicts]
    return [sentence for sentence in sentences if sentence]


def in_words(entries: list[dict[str, Any]]) -> list[str]:
    """Return the sentences on the runs of one (model, task) pair that `explain` states."""
    return _stated((sizes, outlying_sentences), entries) + tuning_of(entries)


def _stated(notes: Iterable[Note], entries: list[dict[str, Any]]) -> list[str]:
    stated = [note(_finished(entries)) for note in notes]
    lists = [[found] if isinstance(found, str) else found or [] for found in stated]
    return [sentence for sentences in lists for sentence in sentences]


def _finished(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for entry in entries if entry["state"] == "finished"]


def tuning_of(entries: list[dict[str, Any]], rates_from: str = "") -> list[str]:
    """Describe the selection of learning rates, or state that there was none."""
    if sentence := tuning.rates_sentence(entries):
        return [sentence]
    rates = {entry["label"]: entry["learning_rate"] for entry in _finished(entries)}
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


def same_start(entries: list[dict[str, Any]]) -> str | None:
    """Compare the initial evaluation losses of all methods per seed; None without a pair."""
    starts: dict[int, list[float]] = {}
    for entry in entries:
        if entry.get("eval_loss_start") is not None:
            starts.setdefault(entry["seed"], []).append(entry["eval_loss_start"])
    compared = [losses for losses in starts.values() if len(losses) > 1]
    if not compared:
        return None
    gap = max(max(losses) - min(losses) for losses in compared)
    if gap == 0:
        return "All methods of a seed started from the same evaluation loss (exactly)."
    if gap <= 1e-5 * max(map(max, compared)):
        return (
            "All methods of a seed started from the same evaluation loss "
            f"(largest difference {gap:.1e}: rounding)."
        )
    return (
        f"The methods did not start from the same evaluation loss: they differ by up to {gap:.4g}."
    )


def quantization(entries: list[dict[str, Any]]) -> str | None:
    """State the loss increase by base quantisation, and each method's recovery."""
    losses: dict[str, list[float]] = {}
    costs = []
    for entry in entries:
        if None in (whole := entry.get("eval_loss_whole_base"), entry.get("eval_loss_start")):
            continue
        costs.append(entry["eval_loss_start"] - whole)
        losses.setdefault(entry["label"], []).append(entry["eval_loss_start"] - entry["eval_loss"])
    if not costs:
        return None
    gains = ", ".join(f"{label} {statistics.fmean(values):.3f}" for label, values in losses.items())
    name = entries[0]["quantization"]
    stored = "" if name in STORED else " It is fake-quantised: no memory is saved."
    return (
        f"Quantising the base to {name} raised the evaluation loss by {statistics.fmean(costs):.3f}"
        f" before any training; the adapters lowered it by: {gains}.{stored}"
    )


def splits(entries: list[dict[str, Any]]) -> list[str]:
    """State the split key of user rows, and labels missing from a split."""
    keys = dict.fromkeys(entry["split_key"] for entry in entries if entry.get("split_key"))
    lacks = dict.fromkeys(e["missing_labels"] for e in entries if e.get("missing_labels"))
    sentences = [f"Rows are split by {key}: no {key} stands on two sides." for key in keys]
    if lacks:
        sentences.append(
            f"Labels or answers are missing on a side: {' / '.join(lacks)}. Add rows with them: a"
            " label that was not trained on cannot be learnt, and one that is not tested says"
            " nothing."
        )
    return sentences


def sizes(entries: list[dict[str, Any]]) -> list[str]:
    """Compare each method's parameter count to that of the largest LoRA."""
    counts = {tuning.family(entry): entry["trainable_parameters"] for entry in entries}
    methods = {tuning.family(entry): entry["method"] for entry in entries}
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


def scales(entries: list[dict[str, Any]]) -> str | None:
    """Compare the scales s of all methods; None for fewer than two."""
    by_label = {tuning.family(e): e["scale"] for e in entries if e.get("scale") is not None}
    if len(by_label) < 2:
        return None
    if len(set(by_label.values())) == 1:
        return (
            "All methods with a scale have the same: s = alpha / r ="
            f" {next(iter(by_label.values())):g}."
        )
    text = ", ".join(f"{label} {scale:.3g}" for label, scale in by_label.items())
    return f"Scales s = alpha / r differ, and so do the steps at one rate: {text}."


def threads(entries: list[dict[str, Any]]) -> str | None:
    """State different thread counts of step times; None if they are equal."""
    counts = {label: known - {None} for label, known in _by_family(entries, "threads").items()}
    if len(set().union(*counts.values())) < 2:
        return None
    text = "; ".join(f"{label} {', '.join(map(str, sorted(n)))}" for label, n in counts.items())
    return (
        f"Seconds per step were taken with different numbers of CPU threads ({text}): "
        "set `threads` to compare speed."
    )


def side_by_side(entries: list[dict[str, Any]]) -> str | None:
    """Name methods whose step times were measured during other runs; None without any."""
    known = _by_family(entries, "side_by_side")
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


def _by_family(entries: list[dict[str, Any]], name: str) -> dict[str, set[Any]]:
    """Return the values of a field by method, None for a missing one."""
    values: dict[str, set[Any]] = {}
    for entry in entries:
        values.setdefault(tuning.family(entry), set()).add(entry.get(name))
    return values


def seeds(entries: list[dict[str, Any]]) -> str | None:
    """State the statistical weight of the number of seeds with a finished run."""
    count = len({entry["seed"] for entry in _finished(entries)})
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


def missing(entries: list[dict[str, Any]], expected: int) -> list[str]:
    """Name the runs without a result, and count the runs to come."""
    waiting = expected - len(entries)
    to_come = [f"{waiting} of {expected} runs have not ended yet."] if waiting else []
    return [*outcomes(entries), *to_come]


def _against(count: int, reference: int) -> str:
    share = count / reference - 1
    if count == reference:
        return "as many as"
    return f"{abs(share):.0%} {'more' if share > 0 else 'fewer'} than"


Note = Callable[[list[dict[str, Any]]], list[str] | str | None]
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
