"""What a sweep will take before it starts: runs, seconds, and how many trials fit into a span of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qtha_lab.experiment import Experiment
from qtha_lab.experiment.plan import resolve
from qtha_lab.experiment.run_directory import queue as slots
from qtha_lab.experiment.sweep import Sweep

OVERHEAD_SECONDS = 3.0  # of a run beside its steps: start, evaluations, writing


@dataclass(frozen=True)
class Forecast:
    """How much a sweep is.

    Attributes:
        trials: Points of each method, by its label.
        runs: Trainings in all, every seed of every trial.
        seconds_of_a_run: By label, at the first point of the method.
        slots: Runs at once.
    """

    trials: dict[str, int]
    runs: int
    seeds: int
    seconds_of_a_run: dict[str, float]
    slots: int

    @property
    def seconds(self) -> float:
        """The whole sweep, with every slot busy."""
        runs = {label: count * self.seeds for label, count in self.trials.items()}
        return sum(runs[label] * self.seconds_of_a_run[label] for label in runs) / self.slots

    def trials_within(self, seconds: float) -> int:
        """Trials of every method, the same number each, that fit into a time."""
        one_each = sum(self.seconds_of_a_run.values()) * self.seeds / self.slots
        return int(seconds // one_each)

    @property
    def sentences(self) -> list[str]:
        """The same for a person; whether every method has as many trials is always said."""
        counts = set(self.trials.values())
        each = ", ".join(f"{label}: {count}" for label, count in self.trials.items())
        equal = (
            f"every method has {counts.pop()} trials"
            if len(counts) == 1
            else f"the methods have unequal numbers of trials ({each}), "
            f"so the one with more is favoured: trials={min(counts)} makes them equal"
        )
        minutes = self.seconds / 60
        return [
            f"{equal}, each with {self.seeds} seed{'s' if self.seeds > 1 else ''}: {self.runs} runs",
            f"about {minutes:.1f} min with {self.slots} at once; "
            f"ten minutes hold {self.trials_within(600)} trials of each method",
        ]


def first_experiments(sweep: Sweep) -> dict[str, Experiment]:
    """The experiment at the first point of each method, by its label: what the method is costed at."""
    return {
        method.label: sweep.experiments_at(
            method, {name: axis.ends()[0] for name, axis in sweep.axes_of(method).items()}
        )[0]
        for method in sweep.methods
    }


def forecast(sweep: Sweep, seconds_per_step: Mapping[str, float] | None = None) -> Forecast:
    """What a sweep will take; each method is costed at its first point.

    Args:
        sweep: What is to be tried.
        seconds_per_step: By label of the method, where previews of `first_experiments` are at hand.

    Raises:
        Refusal: If the first trial of a method could not run.
    """
    from qtha_lab.experiment.cost.preview import preview

    first = first_experiments(sweep)
    costs = seconds_per_step or {n: preview(e).seconds_per_step for n, e in first.items()}
    seconds = {n: OVERHEAD_SECONDS + costs[n] * resolve(e).steps for n, e in first.items()}
    trials = {method.label: sweep.trials_of(method) for method in sweep.methods}
    runs = sum(trials.values()) * len(sweep.seeds)
    return Forecast(trials, runs, len(sweep.seeds), seconds, slots.n_slots(sweep.training.threads))
