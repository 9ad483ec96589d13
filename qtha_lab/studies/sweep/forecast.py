"""Cost forecast of a sweep: runs, seconds, and number of trials per time span."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qtha_lab.experiment import Experiment
from qtha_lab.experiment.plan import resolve
from qtha_lab.experiment.run_directory import queue
from qtha_lab.experiment.sweep import Sweep

OVERHEAD_SECONDS = 3.0  # per run outside the steps: process start, evaluations, writing


@dataclass(frozen=True)
class Forecast:
    """Expected size and duration of a sweep.

    Attributes:
        trials: Number of trials of each method, by its label.
        runs: Number of all runs: one per trial and seed.
        seconds_of_a_run: Seconds per run by method label, estimated at the first point of the
            method.
        slots: Number of simultaneous runs.
    """

    trials: dict[str, int]
    runs: int
    seeds: int
    seconds_of_a_run: dict[str, float]
    slots: int

    @property
    def seconds(self) -> float:
        """Seconds of the whole sweep with every slot busy."""
        runs = {label: count * self.seeds for label, count in self.trials.items()}
        return sum(runs[label] * self.seconds_of_a_run[label] for label in runs) / self.slots

    def trials_within(self, seconds: float) -> int:
        """Return the number of trials per method that fit into a time in seconds.

        Every method has the same number of trials.
        """
        one_each = sum(self.seconds_of_a_run.values()) * self.seeds / self.slots
        return int(seconds // one_each)

    @property
    def sentences(self) -> list[str]:
        """Forecast as sentences; the first compares the trial budgets of the methods."""
        counts = set(self.trials.values())
        each = ", ".join(f"{label}: {count}" for label, count in self.trials.items())
        equal = (
            f"every method has {counts.pop()} trials"
            if len(counts) == 1
            else (
                f"the methods have unequal numbers of trials ({each}), "
                f"so the one with more is favoured: trials={min(counts)} makes them equal"
            )
        )
        minutes = self.seconds / 60
        return [
            (
                f"{equal}, each with {self.seeds} seed{'s' if self.seeds > 1 else ''}: {self.runs}"
                " runs"
            ),
            (
                f"about {minutes:.1f} min with {self.slots} at once; "
                f"ten minutes hold {self.trials_within(600)} trials of each method"
            ),
        ]


def first_experiments(sweep: Sweep) -> dict[str, Experiment]:
    """Return the experiment at each method's first point, by method label.

    The forecast estimates the cost of a method at this point.
    """
    return {
        method.label: sweep.experiments_at(
            method, {name: axis.ends()[0] for name, axis in sweep.axes_of(method).items()}
        )[0]
        for method in sweep.methods
    }


def forecast(sweep: Sweep, seconds_per_step: Mapping[str, float] | None = None) -> Forecast:
    """Estimate runs and seconds of a sweep from each method's first point.

    Args:
        sweep: Sweep to estimate.
        seconds_per_step: Seconds per step by method label, if `first_experiments` were already
            previewed.

    Raises:
        Refusal: If the first trial of a method cannot run.
    """
    from qtha_lab.experiment.cost.preview import preview

    first = first_experiments(sweep)
    costs = seconds_per_step or {n: preview(e).seconds_per_step for n, e in first.items()}
    seconds = {n: OVERHEAD_SECONDS + costs[n] * resolve(e).steps for n, e in first.items()}
    trials = {method.label: sweep.trials_of(method) for method in sweep.methods}
    runs = sum(trials.values()) * len(sweep.seeds)
    return Forecast(trials, runs, len(sweep.seeds), seconds, queue.n_slots(sweep.training.threads))
