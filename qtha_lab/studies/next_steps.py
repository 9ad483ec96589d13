"""Next steps for a set of runs: further comparisons with the forecast of their duration.

Starts no run.
"""

from __future__ import annotations

import logging
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison, Experiment, MethodChoice
from qtha_lab.experiment.reproduction_run import Reproduced
from qtha_lab.experiment.run_directory.plugins import trusted
from qtha_lab.experiment.run_directory.queue import n_slots
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison import tuning
from qtha_lab.studies.comparison.claims import Claim
from qtha_lab.studies.comparison.paired import LEAST_SEEDS
from qtha_lab.studies.comparison.tuning import family

log = logging.getLogger(__name__)

MORE_SEEDS = 3  # seeds of the first repetition
MOST_SEEDS = 10  # seeds of one further launch
FACTORS = (0.1, 0.3, 1, 3, 10)  # learning rates to try, as multiples of the present one
SAME_SIZE = 0.02  # relative difference of parameter counts that needs no matching


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


class Planner:
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
        """Return the steps that apply, the most useful first; none for untrusted plugins."""
        if not self.choices:
            return []
        try:
            for run in self.runs:
                trusted(run.path, run.experiment)
        except Refusal as reason:
            log.info("no next steps: %s", reason)
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
        sizes = [size for name in self.choices if (size := counts.get(name))]
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
