"""Findings on any set of runs in words, with next steps as data.

The verdicts are those of `qtha_lab.studies.comparison`; fewer than three common seeds are always
inconclusive. Starts no run and builds no widget.
"""

from __future__ import annotations

import logging
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtha_lab.core import call_syntax as calls
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison, Experiment, MethodChoice
from qtha_lab.experiment.model_task_pairs import by_cell, name_in
from qtha_lab.experiment.reproduction_run import Reproduced
from qtha_lab.experiment.run_directory.queue import n_slots
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison import findings, tuning
from qtha_lab.studies.comparison.claims import WORDS, Claim, against_the_first, measure_of
from qtha_lab.studies.comparison.entries import entry
from qtha_lab.studies.comparison.paired import LEAST_SEEDS
from qtha_lab.studies.comparison.row_losses import TestItems, read_items
from qtha_lab.studies.comparison.run_data import find_runs
from qtha_lab.studies.comparison.tuning import family

log = logging.getLogger(__name__)

MORE_SEEDS = 3  # seeds of the first repetition
MOST_SEEDS = 10  # seeds of one further launch
FACTORS = (0.1, 0.3, 1, 3, 10)  # learning rates to try, as multiples of the present one
SAME_SIZE = 0.02  # relative difference of parameter counts that needs no matching
NO_EFFECT = frozenset({"threads", "processes", "report_to", "checkpoint_every", "eval_every",
    "spectrum_every", "generate_rows", "max_new_tokens"})  # fmt: skip
"""Training settings without effect on the compared losses."""


@dataclass(frozen=True)
class NextStep:
    """Further runs that would answer an open question.

    Attributes:
        label: Text of a button, without the duration.
        comparison: Comparison to launch.
        runs: Number of its runs.
        seconds: Forecast of the duration on this machine; None if no run was timed.
    """

    label: str
    comparison: Comparison
    runs: int
    seconds: float | None

    @property
    def text(self) -> str:
        """Label with the forecast duration, such as "3 more seeds, 40 s"."""
        return self.label if self.seconds is None else f"{self.label}, {_duration(self.seconds)}"

    def plain(self) -> dict[str, Any]:
        """Return the step as plain data for JSON; `command` starts it."""
        return {
            "label": self.label,
            "runs": self.runs,
            "seconds": self.seconds,
            "command": self.comparison.to_command(),
        }


@dataclass(frozen=True)
class Findings:
    """Findings on a set of runs.

    Attributes:
        sentences: Findings, then sizes and learning rates.
        claims: Claims behind the sentences, as `compare` makes them.
        next_steps: Further runs, the most useful first.
    """

    sentences: list[str]
    claims: list[Claim]
    next_steps: list[NextStep]


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
    sources = list(runs)
    views = [source for source in sources if isinstance(source, Run)]
    views += find_runs([source for source in sources if not isinstance(source, Run)])
    readable = sorted((run for run in views if not run.unreadable), key=lambda run: run.id)
    if not readable:
        raise Refusal("Runs to explain must be readable, got none.")
    groups = _by_protocol(readable)
    parts = [_explain_group(group) for group in groups.values()]
    prefixes = [f"{name}: " if len(groups) > 1 else "" for name in groups]
    sentences = [
        prefix + sentence
        for prefix, part in zip(prefixes, parts, strict=True)
        for sentence in part.sentences
    ]
    if len(groups) > 1:
        sentences.append("Runs with different training settings are not compared.")
    return Findings(
        sentences,
        [claim for part in parts for claim in part.claims],
        [step for part in parts for step in part.next_steps],
    )


def findings_of(
    entries: Sequence[Mapping[str, Any]], items: Mapping[str, TestItems] | None = None
) -> tuple[list[str], list[Claim]]:
    """Return one sentence per compared pair of methods, and the claims behind them.

    Args:
        entries: Entries of runs that differ in method, seed, learning rate, model and task only.
        items: Test rows by run id, for the runs that have them.
    """
    entries = [dict(each) for each in entries]
    claims = against_the_first(entries, items or {})
    claimed = {(claim.cell, claim.first): claim for claim in claims}
    cells, sentences = by_cell(entries), []
    best = by_cell(tuning.at_their_best(entries))
    for cell, in_cell in cells.items():
        first, *others = dict.fromkeys(map(family, in_cell))
        for name in others:
            claim = claimed.get((cell, name))
            place = name_in("", cell, len(cells))
            sentences.append(
                _claim_sentence(claim, place)
                if claim
                else _few_seeds(best.get(cell, []), name, first, place)
            )
    return sentences, claims


def _by_protocol(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Group runs by the training settings that affect a loss, named by what differs."""
    settings = {run.id: _protocol(run.experiment) for run in runs}
    first = next(iter(settings.values()))
    names = [n for n in first if len({repr(each.get(n)) for each in settings.values()}) > 1]
    groups: dict[str, list[Run]] = {}
    for run in runs:
        differing = {name: settings[run.id][name] for name in names if name in settings[run.id]}
        groups.setdefault(calls.write_options(differing) or "runs", []).append(run)
    return groups


def _protocol(experiment: Experiment) -> dict[str, Any]:
    training = experiment.training.model_dump(exclude=set(NO_EFFECT))
    return training | {"quantization": experiment.quantization, "head": experiment.head}


def _explain_group(runs: Sequence[Run]) -> Findings:
    entries = [entry(run, run.status()) for run in runs]
    sentences, claims = findings_of(entries, read_items(runs))
    open_runs = [e for e in entries if e["state"] not in ("finished", "diverged")]
    if open_runs:
        sentences += [f"{len(open_runs)} of {len(entries)} runs have not finished."]
        sentences += _live(runs)
    if len({family(e) for e in entries}) < 2:
        sentences.append("One method: there is no difference to state.")
    finished = [e for e in entries if e["state"] == "finished"]
    steps: list[NextStep] = []
    for cell, in_cell in by_cell(finished).items():
        of_cell = [run for run in runs if run.experiment.cell == cell]
        place = f"{cell}: " if len(by_cell(finished)) > 1 else ""
        sentences += [place + text for text in _protocol_sentences(in_cell)]
        steps += _Planner(of_cell, in_cell, [c for c in claims if c.cell == cell]).steps()
    return Findings(_shortened(sentences, entries), claims, steps)


def _shortened(sentences: Sequence[str], entries: Sequence[dict[str, Any]]) -> list[str]:
    """Name a method without its options where it has one variant only."""
    variants: dict[str, set[str]] = {}
    for each in entries:
        variants.setdefault(each["method"], set()).update((family(each), each["label"]))
    short = {
        label: method
        for method, labels in variants.items()
        if len({family(e) for e in entries if e["method"] == method}) == 1
        for label in sorted(labels, key=len, reverse=True)
    }
    texts = list(sentences)
    for label, method in short.items():
        texts = [text.replace(label, method) for text in texts]
    return texts


def _protocol_sentences(entries: list[dict[str, Any]]) -> list[str]:
    """State the sizes and the learning rates of one (model, task) pair."""
    return [*findings.sizes(entries), *findings.tuning_of(entries)]


def _claim_sentence(claim: Claim, place: str) -> str:
    difference, measure = claim.difference, WORDS[claim.measure] + place
    interval = f"[{difference.low:+.3f}, {difference.high:+.3f}]"
    over = f"{difference.seeds} seeds" + (
        f" and {difference.items:,} rows" if difference.items > 1 else ""
    )
    share = f"{100 * (1 - difference.level):.3g} %"
    if difference.verdict == "shown":
        low, high = (claim.first, claim.second)[:: 1 if difference.mean < 0 else -1]
        return (
            f"{low} is lower than {high} by {abs(difference.mean):.3f} nat in {measure}, {share} "
            f"interval {interval} over {over}: shown."
        )
    numbers = f"{claim.first} − {claim.second} {difference.mean:+.3f} nat {interval} over {over}"
    if difference.verdict == "equivalent":
        return (
            f"{claim.first} and {claim.second} are equivalent within {difference.margin:g} nat in "
            f"{measure}: {numbers}."
        )
    return f"{claim.first} against {claim.second}, {measure}: inconclusive, {numbers}."


def _few_seeds(best: Sequence[Mapping[str, Any]], name: str, first: str, place: str) -> str:
    """State a difference without interval, for fewer than three common seeds."""
    measure = measure_of(best) if best else "test_loss"
    measured = [e for e in best if e.get(measure) is not None]
    losses = [
        {e["seed"]: e[measure] for e in measured if family(dict(e)) == label}
        for label in (name, first)
    ]
    seeds = sorted(losses[0].keys() & losses[1].keys())
    if not seeds:
        return f"{name} against {first}{place}: inconclusive, no seed of both has finished."
    gap = statistics.fmean(losses[0][seed] - losses[1][seed] for seed in seeds)
    low, high = (name, first) if gap < 0 else (first, name)
    count = "one seed" if len(seeds) == 1 else f"{len(seeds)} seeds"
    return (
        f"{low} is lower than {high} by {abs(gap):.3f} nat in {WORDS[measure]}{place}; {count}: "
        "inconclusive."
    )


def _live(runs: Sequence[Run]) -> list[str]:
    """State the evaluation losses of two methods at their last common step."""
    by_label: dict[str, dict[int, float]] = {}
    for run in runs:
        losses = {
            event["step"]: float(event["loss"])
            for event in run.history()
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
                " loss: inconclusive until the runs finish."
            )
    return sentences


class _Planner:
    """Next steps for the runs of one (model, task) pair.

    Args:
        runs: Runs of the pair.
        entries: Entries of the finished ones.
        claims: Claims on the pair.
    """

    def __init__(
        self, runs: Sequence[Run], entries: list[dict[str, Any]], claims: Sequence[Claim]
    ) -> None:
        self.entries, self.claims = entries, claims
        self.runs = [run for run in runs if not isinstance(run.experiment, Reproduced)]
        self.rates = tuning.rates(entries)
        self.best = tuning.best_rates(entries)
        self.seeds = sorted({entry["seed"] for entry in entries})
        chosen = {family(entry): entry for entry in tuning.at_their_best(entries)}
        by_id = {run.id: run for run in self.runs}
        self.choices = {
            name: by_id[entry["run_id"]].experiment.method
            for name, entry in chosen.items()
            if entry["run_id"] in by_id
        }

    def steps(self) -> list[NextStep]:
        """Return the steps that apply, the most useful first."""
        if not self.choices:
            return []
        steps = [self._more_seeds(), self._tune(), self._beyond(), self._control(), self._equal()]
        return [step for step in steps if step is not None]

    def _step(self, label: str, methods: Iterable[MethodChoice], **fields: Any) -> NextStep | None:
        described = self.runs[0].experiment
        shared = {
            name: getattr(described, name)
            for name in ("model", "quantization", "head", "task", "task_options", "plugins")
        }
        fields = {
            "seeds": self.seeds,
            "training": described.training,
            "scaling": "as_given",
        } | fields
        try:
            comparison = Comparison(**shared, methods=list(methods), **fields)
            experiments = comparison.experiments()
        except Refusal as reason:
            log.debug("no step %r: %s", label, reason)
            return None
        label = label.format(runs=f"{len(experiments)} runs" if len(experiments) > 1 else "1 run")
        return NextStep(label, comparison, len(experiments), self._forecast(experiments))

    def _forecast(self, experiments: Sequence[Experiment]) -> float | None:
        """Estimate the duration from the recorded seconds of similar runs."""
        recorded: dict[str, list[float]] = {}
        for each in self.entries:
            if each.get("wall_seconds") is not None:
                recorded.setdefault(each["method"], []).append(each["wall_seconds"])
        if not recorded:
            return None
        longest = max(statistics.fmean(seconds) for seconds in recorded.values())
        total = sum(
            statistics.fmean(recorded[e.method.name]) if e.method.name in recorded else longest
            for e in experiments
        )
        slots = min(len(experiments), n_slots(self.runs[0].experiment.training.threads))
        return total / max(1, slots)

    def _more_seeds(self) -> NextStep | None:
        if len(self.choices) < 2 or not self.seeds:
            return None
        count = MORE_SEEDS if len(self.seeds) < LEAST_SEEDS else self._seeds_missing()
        if count == 0:
            return None
        first = max(self.seeds) + 1
        fresh = list(range(first, first + count))
        return self._step(f"{count} more seeds", self.choices.values(), seeds=fresh)

    def _seeds_missing(self) -> int:
        """Return the seeds that would decide an inconclusive claim, at most ten; 0 for none."""
        needed = [
            count - claim.difference.seeds
            for claim in self.claims
            if claim.difference.verdict == "inconclusive"
            and (count := claim.difference.seeds_to_decide) is not None
        ]
        return min(MOST_SEEDS, max(1, min(needed))) if needed else 0

    def _tune(self) -> NextStep | None:
        """Try learning rates around the present one, for methods that ran at one rate."""
        single = {n: c for n, c in self.choices.items() if len(self.rates.get(n, ())) == 1}
        if not single:
            return None
        centre = statistics.median(self.best[name] for name in single)
        known = set.intersection(*({*self.rates[name]} for name in single))
        grid = [rate for f in FACTORS if (rate := float(f"{centre * f:.1g}")) not in known]
        methods = [choice.replace(learning_rate=None) for choice in single.values()]
        return self._step(
            "tune the learning rate: {runs}", methods, learning_rates=grid, seeds=self.seeds[:1]
        )

    def _beyond(self) -> NextStep | None:
        """Extend the range of a method whose best rate is at its end."""
        for name, tried in self.rates.items():
            rates = list(tried)
            if len(rates) > 1 and name in self.choices and self.best[name] in (rates[0], rates[-1]):
                factor = 3 if self.best[name] == rates[-1] else 1 / 3
                beyond = [float(f"{self.best[name] * factor**k:.1g}") for k in (1, 2)]
                method = self.choices[name].replace(learning_rate=None)
                label = f"try rates beyond {self.best[name]:g} for {name}: {{runs}}"
                return self._step(label, [method], learning_rates=sorted(beyond))
        return None

    def _control(self) -> NextStep | None:
        """Add the classical control of a method with a circuit."""
        from qtha_lab.adapters.controls import controls_of

        present = {choice.replace(learning_rate=None).meaning for choice in self.choices.values()}
        for choice in self.choices.values():
            for control in controls_of(choice.name, choice.options)[:1]:
                method = choice.replace(name=control.method, options=control.options)
                if method.replace(learning_rate=None).meaning not in present:
                    return self._step(f"add the control ({control.title}): {{runs}}", [method])
        return None

    def _equal(self) -> NextStep | None:
        """Repeat with methods of equal size, if the sizes differ and can be matched."""
        counts = {family(e): e.get("trainable_parameters") for e in self.entries}
        sizes = [counts[name] for name in self.choices if counts.get(name)]
        if len(sizes) < 2 or max(sizes) <= min(sizes) * (1 + SAME_SIZE):
            return None
        ordered = sorted(self.choices, key=lambda name: counts.get(name) or 0, reverse=True)
        for names in (ordered, ordered[::-1]):
            methods = [self._without_size(name, names[0]) for name in names]
            step = self._step("make equal in size: {runs}", methods, matching="equal_parameters")
            labels = {e.method.label for e in step.comparison.experiments()} if step else set()
            if step and labels - {choice.label for choice in self.choices.values()}:
                return step
        return None

    def _without_size(self, name: str, first: str) -> MethodChoice:
        """Return a method without the settings that matching determines; the first keeps them."""
        from qtha_lab.experiment.matching import size_settings

        choice = self.choices[name]
        if name == first:
            return choice
        matched = size_settings(choice, "equal_parameters")
        options = {option: v for option, v in choice.options.items() if option not in matched}
        return choice.replace(options=options)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    if seconds < 3600:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
