"""Findings on any set of runs in words, with next steps as data.

The verdicts are those of `qtha_lab.studies.comparison`; fewer than three common seeds are always
inconclusive. Starts no run and builds no widget.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtha_lab.core import call_syntax
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.description import ModelTask, by_model_task, name_in
from qtha_lab.experiment.run_directory.events import SUMMARISED, TERMINAL
from qtha_lab.figures.machinery.legends import short_names
from qtha_lab.runs.launch import in_launch_order
from qtha_lab.runs.run import Run
from qtha_lab.runs.table.frame import results_frame
from qtha_lab.studies.comparison import notes, tuning
from qtha_lab.studies.comparison.claims import (
    WORDS,
    Claim,
    against_the_first,
    measure_of,
    pairs_to_first,
)
from qtha_lab.studies.comparison.controls import against_controls, control_pairs
from qtha_lab.studies.comparison.found_runs import contender_records_of, find_runs, renamed
from qtha_lab.studies.comparison.next_steps import NextStep, Planner, resume_step
from qtha_lab.studies.comparison.outcomes import outcomes
from qtha_lab.studies.comparison.paired import what_decides
from qtha_lab.studies.comparison.protocol import choices_within_noise
from qtha_lab.studies.comparison.row_losses import TestItems, read_items

if TYPE_CHECKING:
    import pandas

NO_EFFECT = {
    "threads", "report_to", "checkpoint_every", "eval_every", "spectrum_every",
    "generate_rows", "max_new_tokens",
}  # fmt: skip
"""Training settings without effect on the compared losses."""
MOST_GROUPS = 3  # training settings in one sentence


@dataclass(frozen=True)
class Findings:
    """Findings on a set of runs.

    Attributes:
        sentences: Findings, then sizes and learning rates.
        claims: Claims behind the sentences, as `compare` makes them.
        next_steps: Further runs, the most useful first.
        verdicts: Verdict of each compared pair of methods, (first, second, model and task).
    """

    sentences: list[str]
    claims: list[Claim]
    next_steps: list[NextStep]
    verdicts: dict[tuple[str, str, str], str] = field(default_factory=dict)


def explain(runs: Iterable[str | Path | Run]) -> Findings:
    """State the findings of runs in words, and suggest further runs.

    Args:
        runs: Ids, directories, folders of runs or of a comparison, or runs.

    Raises:
        Refusal: If a source is no run and contains none.

    Example:
        >>> for sentence in explain(["runs/a", "runs/b"]).sentences:  # doctest: +SKIP
        ...     print(sentence)
        lora is lower than qtha by 0.038 nat in test loss; one seed: inconclusive.
    """
    readable = in_launch_order(run for run in find_runs(runs) if not run.unreadable)
    if not readable:
        raise Refusal("No run to explain is readable.")
    groups = _by_protocol(readable)
    found = Findings(_unequal(groups), [], _equal_training(groups))
    for name, group in groups.items():
        part, place = _explain_group(group), f"{name}: " if len(groups) > 1 else ""
        found.sentences.extend(place + sentence for sentence in part.sentences)
        found.claims.extend(part.claims)
        found.next_steps.extend(part.next_steps)
        found.verdicts.update(part.verdicts)
    return found


def findings_of(runs: pandas.DataFrame, items: Mapping[str, TestItems] | None = None) -> Findings:
    """Return one sentence per compared pair of methods, and the claims behind them.

    Each method is compared to the first one, and to its own control.
    """
    table = results_frame(runs)
    to_first, of_controls = against_the_first(table, items), control_pairs(table)
    every = [*to_first, *against_controls(table, items)]
    claimed = {(claim.model_task, claim.first, claim.second): claim for claim in every}
    found = Findings([], to_first, [])
    best, pairs = tuning.at_their_best(table), table.groupby("model_task", sort=False)
    for model_task, in_model_task in pairs:
        place = name_in("", model_task, len(pairs))
        for pair in [*pairs_to_first(in_model_task), *of_controls[model_task]]:
            claim = claimed.get((model_task, *pair))
            found.verdicts[(*pair, place)] = claim.difference.verdict if claim else "inconclusive"
            found.sentences.append(
                _claim_sentence(claim, place)
                if claim
                else _few_seeds(best[best["model_task"].eq(model_task)], *pair, place)
            )
    return found


def change(before: Findings, after: Findings, label: str) -> str:
    """State the verdicts that a next step with this label changed and added.

    Example:
        >>> pair = ("qtha", "lora", "")
        >>> before, after = (Findings([], [], [], {pair: v}) for v in ("inconclusive", "shown"))
        >>> change(before, after, "3 more seeds")
        'After “3 more seeds”: qtha against lora: shown (inconclusive before).'
    """
    words = []
    names = short_names(name for first, second, _ in after.verdicts for name in (first, second))
    for (first, second, place), verdict in after.verdicts.items():
        earlier = before.verdicts.get((first, second, place))
        since = "new" if earlier is None else f"{'as' if earlier == verdict else earlier} before"
        words.append(f"{names[first]} against {names[second]}{place}: {verdict} ({since})")
    return f"After “{label}”: {'; '.join(words) or 'nothing is compared'}."


def _by_protocol(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Group runs by the training settings that affect a loss, named by their differences."""
    settings = {run.id: _protocol(run.experiment) for run in runs}
    first = next(iter(settings.values()))
    names = [n for n in first if len({repr(each.get(n)) for each in settings.values()}) > 1]
    groups: dict[str, list[Run]] = {}
    for run in runs:
        differing = {name: settings[run.id][name] for name in names if name in settings[run.id]}
        groups.setdefault(call_syntax.write_options(differing) or "runs", []).append(run)
    return groups


def _protocol(experiment: Experiment) -> dict[str, Any]:
    flat = experiment.training.model_dump()
    training = {name: value for name, value in flat.items() if name not in NO_EFFECT}
    return training | {"quantization": experiment.quantization, "head": experiment.head}


def _explain_group(runs: Sequence[Run]) -> Findings:
    table = results_frame(run.outcome() for run in runs)
    found = findings_of(table, read_items(runs))
    sentences = [*outcomes(table), *found.sentences]
    if not table["state"].isin(SUMMARISED).all():
        sentences += _live(runs, not table["state"].isin(TERMINAL).all())
    if table["family"].nunique() < 2:
        sentences.append("One method: nothing is compared.")
    steps = [step] if (step := resume_step(runs, table)) else []
    pairs = table.groupby("model_task", sort=False)
    for model_task, in_model_task in pairs:
        of_model_task = [run for run in runs if run.experiment.model_task == model_task]
        place = f"{model_task}: " if len(pairs) > 1 else ""
        words = notes.in_words(in_model_task) + _trial_sentences(of_model_task, model_task)
        sentences += [place + text for text in words]
        steps += Planner(
            of_model_task, in_model_task, [c for c in found.claims if c.model_task == model_task]
        ).steps()
    return Findings(_shortened(sentences, table), found.claims, steps, found.verdicts)


def _unequal(groups: Mapping[str, Sequence[Run]]) -> list[str]:
    """State the training settings in which runs differ, and that they are not compared."""
    if len(groups) < 2:
        return []
    names = [
        f"{settings} ({', '.join(dict.fromkeys(run.experiment.method.name for run in runs))})"
        for settings, runs in groups.items()
    ]
    more = f" and {len(names) - MOST_GROUPS} more" if len(names) > MOST_GROUPS else ""
    return [
        "Runs with different training settings are not compared: "
        f"{'; '.join(names[:MOST_GROUPS])}{more}."
    ]


def _equal_training(groups: Mapping[str, Sequence[Run]]) -> list[NextStep]:
    """Return the steps that train all methods as the largest group was trained."""
    settings = max(groups, key=lambda name: len(groups[name]))
    others = [run for name, runs in groups.items() if name != settings for run in runs]
    of_model_task: dict[ModelTask, list[Run]] = {}
    for run in groups[settings]:
        of_model_task.setdefault(run.experiment.model_task, []).append(run)
    steps = [
        Planner(runs, results_frame(run.outcome() for run in runs), ()).add(
            [r.experiment.method for r in others if r.experiment.model_task == model_task], settings
        )
        for model_task, runs in of_model_task.items()
        if others
    ]
    return [step for step in steps if step is not None]


def _shortened(sentences: Sequence[str], runs: pandas.DataFrame) -> list[str]:
    """Name methods as figures do: by the options in which their variants differ."""
    names = short_names(runs["family"])
    for method, of in runs.groupby("method", sort=False):
        if of["family"].nunique() == 1:
            names |= dict.fromkeys(of["label"], str(method))
    return renamed(list(sentences), {label: name for label, name in names.items() if label})


def _trial_sentences(runs: Sequence[Run], model_task: ModelTask) -> list[str]:
    """Name the methods of tuned comparisons whose choice is within the noise of the trials."""
    choices = [run.experiment.method for run in runs]
    methods = {choice.replace(learning_rate=None, title="").label for choice in choices}
    folders = dict(found for run in runs if (found := contender_records_of(run)))
    records = [record for of_folder in folders.values() for record in of_folder]
    of_pair = by_model_task(records).get(model_task, [])
    return choices_within_noise(record for record in of_pair if record["method"] in methods)


def _claim_sentence(claim: Claim, place: str) -> str:
    difference, measure = claim.difference, WORDS[claim.measure] + place
    interval = f"[{difference.low:+.3f}, {difference.high:+.3f}]"
    over = difference.scale
    if difference.verdict == "shown":
        low, high = (claim.first, claim.second)[:: 1 if difference.mean < 0 else -1]
        ends = sorted((-abs(difference.low), -abs(difference.high)))
        return (
            f"{low} is lower than {high} by {abs(difference.mean):.3f} nat in {measure},"
            f" {100 * (1 - difference.level):.3g} % interval of {low} − {high}"
            f" [{ends[0]:+.3f}, {ends[1]:+.3f}] over {over}: shown."
        )
    numbers = f"{claim.first} − {claim.second} {difference.mean:+.3f} nat {interval} over {over}"
    if difference.verdict == "equivalent":
        return (
            f"{claim.first} and {claim.second} are equivalent within {difference.margin:g} nat in "
            f"{measure}: {numbers}."
        )
    rest = f", {what_decides(difference)}" if difference.lost else ""
    return f"{claim.first} against {claim.second}, {measure}: inconclusive, {numbers}{rest}."


def _few_seeds(best: pandas.DataFrame, name: str, first: str, place: str) -> str:
    """State a difference without interval, for fewer than three common seeds."""
    measure = measure_of(best) if len(best) else "test_loss"
    by_seed = best.dropna(subset=measure).set_index("seed")
    losses = [by_seed[measure][by_seed["family"].eq(label)].to_dict() for label in (name, first)]
    seeds = sorted(losses[0].keys() & losses[1].keys())
    if not seeds:
        return f"{name} against {first}{place}: inconclusive, no seed has a result of both."
    gap = statistics.fmean(losses[0][seed] - losses[1][seed] for seed in seeds)
    low, high = (name, first) if gap < 0 else (first, name)
    count = "one seed" if len(seeds) == 1 else f"{len(seeds)} seeds"
    return (
        f"{low} is lower than {high} by {abs(gap):.3f} nat in {WORDS[measure]}{place}; {count}: "
        "inconclusive."
    )


def _live(runs: Sequence[Run], running: bool) -> list[str]:
    """State the evaluation losses of two methods at their last common step."""
    by_label: dict[str, dict[int, float]] = {}
    for run in runs:
        losses = {
            event["step"]: float(event["loss"])
            for event in run.valid_events()
            if event["kind"] == "eval" and event.get("loss") is not None
        }
        by_label.setdefault(run.experiment.method.label, losses)
    (first, at_first), *others = by_label.items()
    sentences = []
    for name, losses in others:
        if step := max(losses.keys() & at_first.keys(), default=0):
            gap = losses[step] - at_first[step]
            low, high = (name, first) if gap < 0 else (first, name)
            sentences.append(
                f"After {step} steps {low} is lower than {high} by {abs(gap):.3f} nat in evaluation"
                f" loss: inconclusive{' until the runs finish' if running else ''}."
            )
    return sentences
