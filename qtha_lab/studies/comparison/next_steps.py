"""Next steps for a set of runs: further comparisons with the forecast of their duration.

Starts no run.
"""

from __future__ import annotations

import logging
import shlex
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison, Experiment, MethodChoice
from qtha_lab.experiment.reproduction_run import Reproduced
from qtha_lab.experiment.run_directory.plugins import trusted
from qtha_lab.experiment.run_directory.queue import n_slots
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison import tuning
from qtha_lab.studies.comparison.claims import Claim
from qtha_lab.studies.comparison.paired import LEAST_SEEDS

if TYPE_CHECKING:
    import pandas

log = logging.getLogger(__name__)

MORE_SEEDS = 3  # seeds of the first repetition
MOST_SEEDS = 10  # seeds of one further launch
FACTORS = (0.1, 0.3, 1, 3, 10)  # learning rates to try, as multiples of the present one
LOWER = (0.1, 0.3)  # learning rates to try after a divergence, as multiples
INTERRUPTED = ("stopped", "dead", "failed")  # states that a resume may repair
SAME_SIZE = 0.02  # relative difference of parameter counts that needs no matching


@dataclass(frozen=True)
class NextStep:
    """Further runs that would answer an open question.

    Attributes:
        label: Text of a button, without the duration.
        comparison: Comparison to launch, which adds runs; None resumes runs instead.
        runs: Number of its runs.
        seconds: Forecast of the duration on this machine; None if no run was timed.
        name: Name of the launch that the new runs belong to.
        resumed: Runs to resume.
    """

    label: str
    comparison: Comparison | None
    runs: int
    seconds: float | None = None
    name: str = ""
    resumed: tuple[Run, ...] = ()

    @property
    def text(self) -> str:
        """Label with the forecast duration, such as "3 more seeds, 40 s"."""
        return self.label if self.seconds is None else f"{self.label}, {_duration(self.seconds)}"

    @property
    def command(self) -> str:
        """Command that starts the step in a shell."""
        if self.comparison is not None:
            return self.comparison.to_command()
        return " && ".join(f"qtha-lab resume {shlex.quote(str(run.path))}" for run in self.resumed)

    def plain(self) -> dict[str, Any]:
        """Return the step as plain data for JSON; `command` starts it."""
        return {
            "label": self.label,
            "runs": self.runs,
            "seconds": self.seconds,
            "command": self.command,
        }


def resume_step(runs: Sequence[Run], table: pandas.DataFrame) -> NextStep | None:
    """Return the step that resumes runs without a result; None if there is none."""
    place = ["label", "seed"]
    is_open = table["state"].isin(INTERRUPTED).groupby([table[name] for name in place])
    last = table[is_open.transform("all")].drop_duplicates(place, keep="last")
    open_ids = {*last["run_id"]}
    resumed = tuple(run for run in runs if run.id in open_ids)
    count = f"{len(resumed)} run{'s' if len(resumed) > 1 else ''}"
    return NextStep(f"resume {count}", None, len(resumed), resumed=resumed) if resumed else None


class Planner:
    """Next steps for the runs of one (model, task) pair, in launch order."""

    def __init__(
        self, runs: Sequence[Run], table: pandas.DataFrame, claims: Sequence[Claim]
    ) -> None:
        self.diverged = table[table["state"].eq("diverged")]
        self.finished = finished = table[table["state"].eq("finished")]
        self.claims = claims
        self.runs = [run for run in runs if not isinstance(run.experiment, Reproduced)]
        self.rates = tuning.rates(finished)
        self.best = tuning.best_rates(finished)
        self.seeds = sorted({*finished["seed"]})
        best = tuning.at_their_best(finished).drop_duplicates("family", keep="last")
        by_id = {run.id: run for run in self.runs}
        begun = table.drop([*finished.index, *self.diverged.index])
        self.begun = {*zip(begun["label"], begun["seed"], strict=True)}
        self.choices = {
            name: by_id[run_id].experiment.method
            for name, run_id in best[["family", "run_id"]].itertuples(index=False)
            if run_id in by_id
        }

    def steps(self) -> list[NextStep]:
        """Return the steps that apply, the most useful first; none for untrusted plugins."""
        if not self.runs:
            return []
        try:
            for run in self.runs:
                trusted(run.path, run.experiment)
        except Refusal as reason:
            log.info("no next steps: %s", reason)
            return []
        steps = [self._lower_rates(), self._more_seeds(), self._tune(), self._beyond()]
        steps += [self._control(), self._equal()]
        return [step for step in steps if step and not self._has_begun(step)]

    def _has_begun(self, step: NextStep) -> bool:
        if not (step.comparison and self.begun):
            return False
        return {(e.method.label, e.seed) for e in step.comparison.experiments()} <= self.begun

    def add(self, methods: Iterable[MethodChoice], settings: str) -> NextStep | None:
        """Return the step that trains methods of other runs with the settings of these runs."""
        present = {choice.meaning for choice in self.choices.values()}
        absent = {m.meaning: m for m in methods if m.meaning not in present}
        names = ", ".join(dict.fromkeys(m.name for m in absent.values()))
        if not absent:
            return None
        return self._step(f"train {names} with {settings}: {{runs}}", absent.values())

    def _lower_rates(self) -> NextStep | None:
        """Try lower learning rates for a method whose runs diverged at its best one."""
        columns = self.diverged[["family", "learning_rate", "run_id"]]
        for name, rate, run_id in columns.itertuples(index=False):
            runs = [run for run in self.runs if run.id == run_id]
            if runs and rate and self.best.get(name, rate) == rate:
                rates = [float(f"{rate * factor:.1g}") for factor in LOWER]
                method = runs[0].experiment.method.replace(learning_rate=None)
                seeds = self.seeds or sorted({*self.diverged["seed"]})
                label = f"try lower rates for {name}: {{runs}}"
                return self._step(label, [method], learning_rates=rates, seeds=seeds)
        return None

    def _step(self, label: str, methods: Iterable[MethodChoice], **fields: Any) -> NextStep | None:
        described = self.runs[0].experiment
        kept = ("model", "quantization", "head", "task", "task_options", "plugins", "training")
        settings = {name: getattr(described, name) for name in kept}
        settings |= {"seeds": self.seeds, "scaling": "as_given"} | fields
        try:
            comparison = Comparison(methods=list(methods), **settings)
            experiments = comparison.experiments()
        except Refusal as reason:
            log.debug("no step %r: %s", label, reason)
            return None
        label = label.format(runs=f"{len(experiments)} runs" if len(experiments) > 1 else "1 run")
        forecast, name = self._forecast(experiments), self.runs[-1].experiment.name
        return NextStep(label, comparison, len(experiments), forecast, name)

    def _forecast(self, experiments: Sequence[Experiment]) -> float | None:
        """Estimate the duration from the recorded seconds of similar runs."""
        timed = self.finished.dropna(subset="wall_seconds").groupby("method")["wall_seconds"]
        means = {method: statistics.fmean(seconds) for method, seconds in timed}
        if not means:
            return None
        total = sum(means.get(e.method.name, max(means.values())) for e in experiments)
        slots = min(len(experiments), n_slots(self.runs[0].experiment.training.threads))
        return total / max(1, slots)

    def _more_seeds(self) -> NextStep | None:
        """Repeat with further seeds, later with those that decide an inconclusive claim."""
        if len(self.choices) < 2 or not self.seeds:
            return None
        differences = [claim.difference for claim in self.claims]
        needed = [
            of.seeds_to_decide - of.seeds
            for of in differences
            if of.verdict == "inconclusive" and of.seeds_to_decide is not None
        ]
        is_first = len(self.seeds) < LEAST_SEEDS
        if not (is_first or needed):
            return None
        count = MORE_SEEDS if is_first else min(MOST_SEEDS, max(1, min(needed)))
        fresh = [max(self.seeds) + number for number in range(1, count + 1)]
        return self._step(f"{count} more seeds", self.choices.values(), seeds=fresh)

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
        from qtha_lab.adapters.registry import controls_of

        present = {choice.replace(learning_rate=None).meaning for choice in self.choices.values()}
        for choice in self.choices.values():
            for control in controls_of(choice.name, choice.options)[:1]:
                method = choice.replace(name=control.method, options=control.options)
                if method.replace(learning_rate=None).meaning not in present:
                    return self._step(f"add the control ({control.title}): {{runs}}", [method])
        return None

    def _equal(self) -> NextStep | None:
        """Add methods of equal size, unless they are there.

        Their waist moves, or else their first size. The largest method keeps its size; the smallest
        does if the others cannot reach the largest.
        """
        counts = self.finished.set_index("family")["trainable_parameters"].fillna(0).to_dict()
        sizes = [size for name in self.choices if (size := counts.get(name))]
        if len(sizes) < 2 or max(sizes) <= min(sizes) * (1 + SAME_SIZE):
            return None
        ordered = sorted(self.choices, key=lambda name: counts.get(name, 0), reverse=True)
        present = {choice.meaning for choice in self.choices.values()}
        for names in (ordered, ordered[::-1]):
            sized = self._of_size(names)
            fresh = {choice.meaning: choice for choice in sized if choice.meaning not in present}
            if sized and not fresh:
                return None
            shown = ", ".join(choice.replace(learning_rate=None).label for choice in fresh.values())
            step = self._step(f"make equal in size, {shown}: {{runs}}", fresh.values())
            if step:
                return step
        return None

    def _of_size(self, names: Sequence[str]) -> list[MethodChoice]:
        """Return methods with the size of the first; none if any cannot have it."""
        methods = [self.choices[names[0]], *(_without_size(self.choices[n]) for n in names[1:])]
        step = self._step("", methods, seeds=self.seeds[:1], matching="equal_parameters")
        if step is None or step.comparison is None:
            return []
        return [experiment.method for experiment in step.comparison.experiments()]


def _without_size(choice: MethodChoice) -> MethodChoice:
    """Return a method without its waist, or else its first size; other sizes are stated."""
    from qtha_lab.adapters import get_method

    entry = get_method(choice.name)
    config = entry.make_config(**choice.options)
    sizes = {name: getattr(config, name) for name in entry.size_settings}
    moved = "waist" if "waist" in sizes else next(iter(sizes), "")
    options = sizes | dict(choice.options)
    options.pop(moved, None)
    return choice.replace(options=options)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    if seconds < 3600:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
