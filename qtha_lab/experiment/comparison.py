"""Description of a comparison: methods over base models, tasks and seeds, with matching and tuning.

Describes and validates. `qtha_lab.studies.comparison` trains the methods and measures the seconds
of `equal_seconds`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from qtha_lab.core import call_syntax
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened
from qtha_lab.experiment import plan, validation
from qtha_lab.experiment.axes import COMMON, Search
from qtha_lab.experiment.description import MethodsAndSeeds, ModelTask, name_in
from qtha_lab.experiment.experiment import Experiment
from qtha_lab.experiment.matched_methods import Contender, Matching, matched, size_settings
from qtha_lab.experiment.method_choice import MethodChoice
from qtha_lab.experiment.serialisation import SEVERAL
from qtha_lab.experiment.sweep import OF_THE_RUN, Sweep, place_of
from qtha_lab.experiment.training import Training

LEAST_REPEATS = 5
MARGIN = 0.02  # nat
OF_THE_ROWS = ("train_rows", "eval_rows", "test_rows", "perturbation")  # equal for all methods


class Tuning(Search):
    """Tuning of every method before the comparison.

    Each method gets the same number of trials, on evaluation rows, with separate seeds. One trial
    seed chooses another rate than the mean of several in 15 to 33 % of cases.
    """

    seeds: list[int] = Field(
        default_factory=lambda: [1000, 1001, 1002], min_length=1, json_schema_extra=COMMON
    )
    """Seeds of the trials; different from the comparison's, whose runs confirm the winners."""


class Comparison(MethodsAndSeeds, init=False):
    """Comparison of several methods with several seeds, on every model and task.

    Example:
        >>> tasks = ["qa", "chat(turns=2)"]
        >>> grid = Comparison(methods="lora,qtha", models=["tiny", "minilm"], tasks=tasks)
        >>> [str(model_task) for model_task in grid.model_tasks]
        ['tiny, qa', 'tiny, chat(turns=2)', 'minilm, qa', 'minilm, chat(turns=2)']
    """

    models: list[str] = Field(default_factory=list)
    """Base models; every method is compared on each. Replaces model."""
    tasks: list[str] = Field(default_factory=list)
    """Tasks with their options, such as chat(turns=2); every method is compared on each. Replaces
    task."""
    matching: Matching = "as_given"
    """Quantity that is equal to the first method's: r, trained parameters (from below), training
    seconds, or none."""
    learning_rates: list[float] = Field(default_factory=list)
    """Learning rates, such as 0.003, 0.01, of every method without its own; the best is chosen on
    evaluation rows. Empty uses each method's default."""
    rates_from: str = ""
    """Source of the methods' learning rates, such as the name of another comparison; stated in the
    report."""
    tuning: Tuning | None = None
    """Tuning of every method over axes of its settings; the winners are confirmed on the seeds."""
    margin: float = Field(default=MARGIN, gt=0, json_schema_extra={"unit": "nats"})
    """Largest difference of losses that counts as equivalent; declared before the runs."""
    rounding: int = Field(default=0, ge=0)
    """Repeats of the first seed with 1-ulp perturbations, at the best rate of every method, which
    measure rounding noise: at least 5, or 0."""
    rounding_seed: int | None = Field(default=None, ge=0, le=2**32 - 1)
    """Repeated seed in place of the first, such as one of another comparison, whose repeats then
    serve both."""

    @model_validator(mode="before")
    @classmethod
    def _one_or_several(cls, fields: Any) -> Any:
        """Set `model` or `task` to the first of several names."""
        if not isinstance(fields, dict):
            return fields
        fields = dict(fields)
        for several, single in SEVERAL.items():
            names = fields.get(several)
            names = call_syntax.split_list(names) if isinstance(names, str) else names
            if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
                continue
            names, first = list(names), None
            if names:
                first = ModelTask.read("", names[0])
                first = first if single == "task" else ModelTask("", names[0])
                stated = fields.get(single, first.task)
                if stated != first.task:
                    raise Refusal(
                        f"{single} must be empty with {several}={','.join(names):.80}, got "
                        f"{stated}."
                    )
                fields[single] = first.task
            if len(names) == 1 and single == "task" and first and first.options:
                fields["task_options"] = first.task_options
            fields[several] = names if len(names) > 1 else []
        return fields

    @field_validator("models", "tasks")
    @classmethod
    def _each_once(cls, names: list[str]) -> list[str]:
        for number, name in enumerate(names):
            if name in names[:number]:
                raise Refusal(f"Names must differ, got {name} twice.")
        return names

    @field_validator("rounding")
    @classmethod
    def _enough_repeats(cls, repeats: int) -> int:
        if 0 < repeats < LEAST_REPEATS:
            raise Refusal(f"rounding must be 0 or at least {LEAST_REPEATS} repeats, got {repeats}.")
        return repeats

    @field_validator("learning_rates")
    @classmethod
    def _rates_above_zero(cls, rates: list[float]) -> list[float]:
        for rate in rates:
            if rate <= 0:
                raise Refusal(f"A learning rate must be above 0, got {rate:g}.")
        return rates

    @model_validator(mode="after")
    def _options_of_one_task(self) -> Self:
        if self.tasks and self.task_options:
            raise Refusal(
                f"task_options must be empty with {len(self.tasks)} tasks. Write them beside "
                "the name, "
                f"such as {self.task}({call_syntax.write_options(self.task_options)})."
            )
        return self

    @model_validator(mode="after")
    def _a_seed_of_repeats(self) -> Self:
        if self.rounding_seed is not None and not self.rounding:
            raise Refusal(
                f"rounding must be at least {LEAST_REPEATS} with "
                f"rounding_seed={self.rounding_seed}, got 0."
            )
        return self

    @model_validator(mode="after")
    def _tuned_fairly(self) -> Self:
        tuning = self.tuning
        if tuning is None:
            return self
        if self.training.sealed:
            raise Refusal(
                "sealed must be false with tuning: state the chosen settings in a second "
                "comparison, and test these on the sealed pool."
            )
        if self.learning_rates:
            raise Refusal("learning_rates must be empty with tuning, which chooses the rate.")
        if self.rates_from:
            raise Refusal(f"rates_from must be empty with tuning, got {self.rates_from:.60}.")
        if both := sorted({*tuning.seeds} & {*self.seeds}):
            raise Refusal(
                f"tuning.seeds must differ from the comparison's, got {both[0]} in both. The "
                "winners are confirmed on other seeds."
            )
        sweep = self._sweep(self.methods, self.model_tasks[0], self.training)
        counts = {method.label: sweep.trials_of(method) for method in self.methods}
        if len({*counts.values()}) > 1:
            fewest, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
            raise Refusal(
                f"tuning must have equal numbers of trials for all methods, got {counts[fewest]} "
                f"for {fewest:.60} and {counts[most]} for {most:.60}. Set trials={counts[fewest]}."
            )
        for axis in tuning.axes:
            self._check_axis(axis)
        return self

    def replace(self, **changes: Any) -> Self:
        """Return a checked copy with some fields changed.

        Changing `models` replaces `model` and vice versa; the same holds for `tasks` and `task`.
        """
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        for several, single in SEVERAL.items():
            if changes.keys() & {several, single}:
                fields = {n: value for n, value in fields.items() if n not in (several, single)}
        return type(self)(**(fields | changes))

    def _check_axis(self, axis: str) -> None:
        """Refuse an axis along which the methods would not be comparable."""
        places = {m.label: place for m in self.methods if (place := place_of(axis, m))}
        if not places:
            raise Refusal(f"tuning.axes must name settings of the methods, got {shortened(axis)}.")
        name = next(iter(places.values())).name
        if name in (*OF_THE_RUN, *OF_THE_ROWS):
            raise Refusal(f"tuning.axes must not hold {axis}, which is equal for all methods.")
        if self.matching == "equal_seconds" and name in ("steps", "threads"):
            raise Refusal(
                f"tuning.axes must not hold {axis} with matching=equal_seconds, which sets the "
                "steps."
            )
        for method in self.methods:
            chosen = size_settings(method, self.matching)
            if place_of(axis, method) and name in chosen:
                raise Refusal(
                    f"tuning.axes must not hold {axis} with matching={self.matching}, which "
                    "sets it."
                )

    @property
    def model_tasks(self) -> list[ModelTask]:
        """Pairs of every model with every task."""
        task = ModelTask("", self.task, call_syntax.write_options(self.task_options))
        tasks = [ModelTask.read("", name) for name in self.tasks] or [task]
        models = self.models or [self.model]
        return [dataclasses.replace(task, model=model) for model in models for task in tasks]

    def contenders(self) -> list[Contender]:
        """Return every method for each (model, task) pair, sized by `matching`.

        Imports the plugins. `qtha_lab.studies.comparison.contenders` adds the steps of
        `equal_seconds` and the winners of `tuning`.
        """
        from qtha_lab.core.plugin_loading import load_plugins

        load_plugins(self.plugins)
        return [
            Contender(model_task, method.label, choice, self.training, self.scaling)
            for model_task in self.model_tasks
            for method, choice in zip(self.methods, self._matched(model_task), strict=True)
        ]

    def _matched(self, model_task: ModelTask) -> list[MethodChoice]:
        experiment = self._experiment(model_task, self.methods[0], self.training, self.seeds[0])
        return matched(self.methods, self.matching, experiment)

    def experiments(self, contenders: Iterable[Contender] | None = None) -> list[Experiment]:
        """Return one experiment per pair, method, rate and seed, grouped by seed, then pair.

        Args:
            contenders: Contenders with measured steps or tuned settings; None selects
                `contenders()`.
        """
        at_rates: dict[tuple, Contender] = {}
        contenders = self.contenders() if contenders is None else list(contenders)
        for model_task in dict.fromkeys(contender.model_task for contender in contenders):
            for rate in self.learning_rates or [None]:
                for contender in (e for e in contenders if e.model_task == model_task):
                    if rate and not contender.choice.learning_rate:
                        choice = contender.choice.replace(learning_rate=rate)
                        contender = contender.replace(choice=choice)
                    meaning = (
                        contender.choice.meaning,
                        repr(contender.point),
                        contender.training.steps,
                    )
                    at_rates.setdefault((model_task, *meaning), contender)
        return [
            experiment
            for seed in self.seeds
            for contender in at_rates.values()
            for experiment in self.experiments_of(contender, [seed])
        ]

    def typical(self) -> dict[str, Experiment]:
        """Return one experiment per model, task, method and rate, with the first seed."""
        model_tasks = len(self.model_tasks)
        return {
            name_in(experiment.method.label, experiment.model_task, model_tasks): experiment
            for experiment in self.experiments()
            if experiment.seed == self.seeds[0]
        }

    def experiments_of(self, contender: Contender, seeds: Iterable[int]) -> list[Experiment]:
        """Return the experiments of one method in one pair, at its tuned settings if any."""
        if contender.point:
            sweep = self.sweep_of(contender).replace(seeds=list(seeds))
            return sweep.experiments_at(contender.choice, contender.point)
        return [
            self._experiment(contender.model_task, contender.method, contender.training, seed)
            for seed in seeds
        ]

    def _experiment(
        self, model_task: ModelTask, method: MethodChoice, training: Training, seed: int
    ) -> Experiment:
        shared = self.shared_fields | model_task.fields
        return Experiment(**shared, method=method, training=training, seed=seed)

    def sweep_of(self, contender: Contender) -> Sweep:
        """Return the sweep that tunes a method in a (model, task) pair."""
        return self._sweep([contender.choice], contender.model_task, contender.training)

    def _sweep(
        self, methods: Sequence[MethodChoice], model_task: ModelTask, training: Training
    ) -> Sweep:
        tuning = self.tuning or Tuning()
        searched = {name: getattr(tuning, name) for name in Tuning.model_fields}
        if len(methods) == 1:  # a sweep refuses an axis that none of its methods has
            axes = {n: v for n, v in tuning.axes.items() if place_of(n, methods[0])}
            searched["axes"] = axes or tuning.axes
        shared = self.shared_fields | model_task.fields
        return Sweep(
            **shared, **searched, methods=list(methods), training=training, scaling=self.scaling
        )

    def perturbed(self, experiments: Iterable[Experiment]) -> list[Experiment]:
        """Repeat every method in each pair `rounding` times with 1-ulp perturbations.

        The perturbation changes the initialisation.

        Args:
            experiments: Experiments of the comparison; the first of each method and pair is
                repeated.
        """
        first: dict[tuple, Experiment] = {}
        for experiment in experiments if self.rounding else ():
            method = experiment.method.replace(learning_rate=None).meaning
            first.setdefault((experiment.model_task, method), experiment)
        return [
            experiment.replace(
                seed=experiment.seed if self.rounding_seed is None else self.rounding_seed,
                training=experiment.training.replace(perturbation=repeat),
            )
            for repeat in range(1, self.rounding + 1)
            for experiment in first.values()
        ]

    def check(self, runs_dir: Path | None = None) -> None:
        """Refuse invalid experiments (see `Experiment.check`) and tuning trials that cannot run."""
        for experiment in self.typical().values():
            validation.check_run(plan.resolve(experiment), runs_dir)
        if self.tuning is not None:
            for contender in self.contenders():
                self.sweep_of(contender).check(runs_dir)
