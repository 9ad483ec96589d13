"""Contenders of a comparison with matched step counts, and conditions of its claims.

The measured seconds per step are stored beside the runs, so a resumed comparison has the same
contenders.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtha_lab.core.call_syntax import parse_call
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder, read_mapping, write_json
from qtha_lab.experiment import Comparison, Experiment
from qtha_lab.experiment.matched_methods import Contender
from qtha_lab.runs.launch import absolute_place

FILE = "seconds_per_step.json"
log = logging.getLogger(__name__)

Seconds = Callable[[Experiment], float]


def timed(
    comparison: Comparison, folder: Path | None = None, seconds: Seconds | None = None
) -> list[Contender]:
    """Return the contenders, with matched step counts if matching is by equal seconds.

    Each later method gets as many steps as fit into the seconds of the first one. The folder stores
    measured seconds per step. None as `seconds` measures them on this machine.

    Raises:
        Refusal: If the seconds of a method are unknown, or less than one step fits.
    """
    contenders = comparison.contenders()
    if comparison.matching != "equal_seconds":
        return contenders
    known = _Known(folder)
    resolved: list[Contender] = []
    for model_task in comparison.model_tasks:
        first, *others = [
            contender for contender in contenders if contender.model_task == model_task
        ]
        pace = known.seconds(comparison, first, seconds or seconds_per_step)
        budget = pace * first.training.steps
        resolved.append(first)
        for contender in others:
            pace = known.seconds(comparison, contender, seconds or seconds_per_step)
            if (steps := int(budget / pace * (1 + 1e-9))) < 1:
                raise Refusal(
                    f"A step of {contender.declared} must take at most the {budget:.3g} s of "
                    f"{first.declared} on {model_task}, got {pace:.3g} s. Choose another matching."
                )
            resolved.append(contender.replace(training=contender.training.replace(steps=steps)))
    known.write()
    return resolved


def seconds_per_step(experiment: Experiment) -> float:
    """Measure the seconds per step of an experiment on this machine.

    Raises:
        Refusal: If the seconds are unknown, as for a remote quantum device.
    """
    from qtha_lab.experiment.cost.preview import preview

    cost = preview(experiment)
    if cost.simulation and cost.simulation.seconds is None:
        raise Refusal(
            f"{experiment.method.label} has no estimate of seconds for matching=equal_seconds. "
            f"{cost.simulation.note}"
        )
    return cost.seconds_per_step


class _Known:
    """Stored seconds per step, by method, (model, task) pair and batch settings."""

    def __init__(self, folder: Path | None) -> None:
        self.file = folder / FILE if folder else None
        recorded = read_mapping(self.file) if self.file else None
        self.by_step: dict[str, float] = dict((recorded or {}).get("seconds_per_step", {}))

    def seconds(self, comparison: Comparison, contender: Contender, measure: Seconds) -> float:
        """Return the seconds per step of a method; measure them if not stored."""
        (experiment,) = comparison.experiments_of(contender, comparison.seeds[:1])
        settings = ("batch_size", "gradient_accumulation", "max_length", "precision", "threads")
        batch = {name: getattr(experiment.training, name) for name in settings}
        key = f"{experiment.method.meaning} on {contender.model_task} "
        key += json.dumps(batch, sort_keys=True)
        if key not in self.by_step:
            self.by_step[key] = measure(experiment)
            log.info("a step of %s takes %.4g s", key, self.by_step[key])
        return self.by_step[key]

    def write(self) -> None:
        """Write the measured seconds per step to the folder."""
        if self.file:
            make_folder(self.file.parent)
            write_json(self.file, {"seconds_per_step": self.by_step})


def contender_records(
    comparison: Comparison, contenders: Iterable[Contender]
) -> list[dict[str, Any]]:
    """Return the contenders as plain records, as in `summary.json`.

    Returns:
        One record per method and (model, task) pair: `model`, `task`, `task_options`; `declared`,
        the label in the description; `method`, the label of its runs without learning rate;
        `steps`; `point`, the tuned settings; `trials`, the losses of all trials;
        `tried`, those of finished trials by seed.
    """
    records = []
    for contender in contenders:
        (experiment,) = comparison.experiments_of(contender, comparison.seeds[:1])
        choice = experiment.method.replace(learning_rate=None)
        places = {n: absolute_place(getattr(contender.model_task, n)) for n in ("model", "task")}
        records.append(
            contender.model_task.fields
            | places
            | {
                "declared": contender.declared,
                "method": choice.replace(title="").label,
                "steps": experiment.training.steps,
                "point": dict(contender.point),
                "trials": list(contender.trials),
                "tried": dict(contender.tried),
            }
        )
    return records


@dataclass(frozen=True)
class Conditions:
    """Conditions of one claim; every field is required.

    Attributes:
        rate_rule: Rule by which each method has its learning rate.
        trial_seeds: Seeds whose evaluation losses chose the rates; 0 if rates are stated.
        r: Inner sizes of both methods, None where a method has none.
        alpha: Scalings of both methods.
        modules: Adapted modules of both methods.
        row_unit: Rows, and the keys over which they are averaged.
    """

    rate_rule: str
    trial_seeds: int
    r: tuple[int | None, int | None]
    alpha: tuple[float | None, float | None]
    modules: tuple[str, str]
    row_unit: str

    @classmethod
    def of(cls, comparison: Comparison, claim: Mapping[str, Any]) -> Conditions:
        """Read the conditions of a claim of a comparison."""
        sides = [_settings(claim[side], claim["model"]) for side in ("first", "second")]
        r, alpha, modules = zip(*sides, strict=True)
        return cls(*_rates(comparison, claim["seeds"]), r, alpha, modules, _rows(claim))

    @property
    def sentence(self) -> str:
        """All fields in words."""
        count = f"{self.trial_seeds} seed{'s' * (self.trial_seeds > 1)}"
        seeds = f", chosen on {count}" if self.trial_seeds else ""
        return (
            f"{self.rate_rule}{seeds}; r {_both(self.r)}; α {_both(self.alpha)};"
            f" at {_both(self.modules)}; {self.row_unit}"
        )


def _rates(comparison: Comparison, seeds: int) -> tuple[str, int]:
    """Return the rule of the rates, and the number of seeds that choose them."""
    if comparison.tuning:
        return "each at its tuned rate", len(comparison.tuning.seeds)
    if len(comparison.learning_rates) > 1:
        return f"each at its best of {len(comparison.learning_rates)} rates", seeds
    stated = {method.learning_rate for method in comparison.methods}
    if len(comparison.learning_rates) == 1 or len(stated) == 1:
        return "one shared rate", 0
    return "each at a stated rate", 0


def _settings(label: str, model: str) -> tuple[int | None, float | None, str]:
    """Return r, alpha and modules of a method from its label."""
    from qtha_lab.adapters import get_method
    from qtha_lab.models.loading import default_target_modules

    name, options = parse_call(label, "method")
    options = {key: value for key, value in options.items() if key not in ("title", "scale")}
    modules = options.pop("target_modules", None)
    try:
        modules = modules or default_target_modules(model)
    except Refusal as refusal:  # a model that is not on this machine
        log.debug("modules of %s stay unnamed: %s", label, refusal)
        modules = "the model's default"
    try:
        config = get_method(name).make_config(
            task_type="CAUSAL_LM", target_modules=["q_proj"], **options
        )
    except Refusal as refusal:  # a plugin that is not loaded
        log.debug("r and alpha of %s stay unnamed: %s", label, refusal)
        config = None
    r = getattr(config, "r", None)
    alpha = getattr(config, "lora_alpha", None) or getattr(config, "alpha", None)
    alpha = 2 * r if alpha is None and r and hasattr(config, "alpha") else alpha
    return r, alpha, modules if isinstance(modules, str) else ", ".join(sorted(modules))


def _rows(claim: Mapping[str, Any]) -> str:
    keys = claim["items"]
    rows, name = claim.get("rows") or keys, claim.get("key_name", "")
    if keys == 1:
        return "mean over rows"
    return f"{rows:,} rows of {keys:,} {name}s" if name else f"{rows:,} rows, as independent"


def _both(of: tuple[Any, Any]) -> str:
    """Return the values of both methods, once if they are equal."""
    first, second = ("–" if value is None else f"{value}" for value in of)
    return first if first == second else f"{first} against {second}"
